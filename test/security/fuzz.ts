import { random } from '../fault/random.ts';

/** A throw of the dice for each question, the same on every machine and every day. */
export interface Dice {
  below(count: number): number;
  of<T>(choices: readonly T[]): T;
}

export function dice(seed: number): Dice {
  let thrown = 0;
  const below = (count: number): number => {
    thrown += 1;
    return Math.floor(random(seed * 1_000 + thrown) * count);
  };
  return { below, of: (choices) => choices[below(choices.length)]! };
}

const nested = (depth: number): unknown => (depth === 0 ? [] : [nested(depth - 1)]);

/** Values that somebody writes who wants a reader to stumble. */
const nasty: readonly unknown[] = [
  ...[null, true, 0, -1, 1.5, 2 ** 53, 1e308, -1e308],
  ...['', ' ', '..', '../victim', '/etc/passwd', 'a/../../victim', '\0', '%s%n', '\u001b[2J', '\ud800', '__proto__', 'x'.repeat(5_000)],
  ...['2026-02-31T25:61:61Z', '-1', '0/0', 'FFFFFFFF/FFFFFFFF', '99999999999999999999'],
  ...[[], {}, [null], { __proto__: null }, nested(40)],
];

type Json = Record<string, unknown> | unknown[];
const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null;

/** Every place in a document that can be written to. */
function places(value: Json): { readonly holder: Json; readonly key: string }[] {
  return Object.entries(value).flatMap(([key, child]) => [{ holder: value, key }, ...(isJson(child) ? places(child) : [])]);
}

/** A copy in which one to three values are others, missing, or there twice. */
export function mutated(document: Json, { below, of }: Dice): Json {
  const copy = structuredClone(document);
  for (let count = 1 + below(3); count > 0; count -= 1) {
    const all = places(copy);
    if (all.length === 0) break;
    const { holder, key } = of(all);
    const at = holder as Record<string, unknown>;
    const how = below(5);
    if (how === 0 && Array.isArray(holder)) holder.splice(Number(key), 1);
    else if (how === 0) delete at[key];
    else if (how === 1 && Array.isArray(holder)) holder.push(structuredClone(at[key]));
    else if (how === 1) at[`${key} `] = at[key];
    else at[key] = of(nasty);
  }
  return copy;
}

/** The bytes of a text with one part cut, doubled, or written over. */
export function torn(text: string, { below }: Dice): Buffer {
  const body = Buffer.from(text);
  const [from, to] = [below(body.length + 1), below(body.length + 1)].sort((a, b) => a - b) as [number, number];
  const how = below(4);
  if (how === 0) return body.subarray(0, from);
  if (how === 1) return Buffer.concat([body.subarray(0, to), body.subarray(from)]);
  if (how === 2) return Buffer.concat([body.subarray(0, from), body.subarray(to)]);
  for (let count = 1 + below(4); count > 0; count -= 1) body[below(body.length)] = below(256);
  return body;
}
