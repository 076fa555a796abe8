import type { Document, Node, Pair, Range, Scalar, YAMLMap } from 'yaml';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';

const load = async () => (await import('yaml')).default; // Thirty milliseconds: only where a compose file is read.
type Yaml = Awaited<ReturnType<typeof load>>;

/** A compose file, parsed; `text` is what was parsed, and edits are made in it, so that every other byte stays. */
export interface ComposeFile {
  readonly path: string;
  readonly text: string;
  readonly yaml: Yaml;
  readonly document: Document;
  /** With anchors and merged maps resolved. */
  readonly value: Readonly<Record<string, unknown>>;
}

/** One change of the text: `put` in the place of what is between the offsets. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly put: string;
}

/** Rejects with `config.invalid`, with the line, for what is no compose file. */
export async function parseCompose(path: string, text: string): Promise<ComposeFile> {
  const yaml = await load();
  const document = yaml.parseDocument(text, { merge: true, prettyErrors: true });
  const [mistake] = document.errors;
  if (mistake) throw unreadable(path, mistake.message.split('\n')[0]!.replace(/:$/, ''));
  const value = composed(document, path);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable(path, 'it holds no services');
  return { path, text, yaml, document, value: value as ComposeFile['value'] };
}

/** A few lines of aliases of aliases stand for millions: the parser counts them, and throws. */
function composed(document: { toJS(): unknown }, path: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw unreadable(path, wordsOf(cause));
  }
}

const unreadable = (path: string, why: string): DbkitError =>
  new DbkitError('config.invalid', `${path} cannot be read: ${why}`, { hint: 'correct the file; nothing was changed' });

/** The parser gives the key of a merge, `<<`, as a symbol. */
const nameOf = (key: unknown): unknown => (typeof key === 'symbol' ? key.description : key);

/** The map of a service as it is written, without what is merged into it. */
export function serviceMap({ yaml, document }: ComposeFile, service: string): YAMLMap | undefined {
  const node = document.getIn(['services', service], true);
  const resolved = yaml.isAlias(node) ? node.resolve(document) : node;
  return yaml.isMap(resolved) ? resolved : undefined;
}

/** The pair that is written in the map itself; undefined where it is merged in or missing. */
export const ownPair = (map: YAMLMap, key: string): Pair<Scalar, Node> | undefined =>
  map.items.find(({ key: name }) => nameOf((name as Scalar).value) === key) as Pair<Scalar, Node> | undefined;

export const rangeOf = (node: { range?: Range | null | undefined }): Range => node.range!;

/** The offsets of `key: value`, without the comment behind it. */
export function pairSpan({ key, value }: Pair<Scalar, Node | null>): { readonly start: number; readonly end: number } {
  const start = rangeOf(key)[0];
  return { start, end: value?.range ? value.range[1] : rangeOf(key)[1] + 1 };
}

/** The blanks before a key that begins its line. */
export const indentAt = (text: string, offset: number): string =>
  /[ \t]*$/.exec(text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset))![0];

/** Lines that follow the last thing of a block map, indented as its keys are. */
export function appendToMap({ text }: ComposeFile, map: YAMLMap, lines: readonly string[]): Splice {
  const indent = indentAt(text, rangeOf(map.items[0]!.key as Scalar)[0]);
  const at = endOfContent(text, rangeOf(map)[1]);
  return { start: at, end: at, put: lines.map((line) => `\n${indent}${line}`).join('') };
}

/** One more item: on a line of its own behind the last one, or before the bracket where all are on one line. */
export function appendToList(
  { text }: ComposeFile,
  list: Node & { readonly items: unknown[]; readonly flow?: boolean },
  item: string,
): Splice {
  const [start, end] = rangeOf(list);
  if (list.flow) {
    const bracket = text.lastIndexOf(']', end - 1);
    const at = text.slice(0, bracket).trimEnd().length;
    return { start: at, end: at, put: `${list.items.length > 0 ? ', ' : ''}${item}` };
  }
  const at = endOfContent(text, end);
  return { start: at, end: at, put: `\n${indentAt(text, start)}- ${item}` };
}

/** The end of the last line of something, with the comment on it, without the blank lines behind it. */
function endOfContent(text: string, end: number): number {
  const filled = text.slice(0, end).trimEnd().length;
  const newline = text.indexOf('\n', filled);
  return newline < 0 ? text.length : newline - (text[newline - 1] === '\r' ? 1 : 0);
}

/** All of them at once; they do not overlap, and those at one place come in their order. */
export function spliced(text: string, splices: readonly Splice[]): string {
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  return splices
    .toReversed()
    .sort((a, b) => b.start - a.start)
    .reduce((before, { start, end, put }) => before.slice(0, start) + put.replaceAll('\n', newline) + before.slice(end), text);
}

/** Every line of something made a comment, `note` behind the first. */
export function commentOut({ text }: ComposeFile, span: { readonly start: number; readonly end: number }, note: string): Splice {
  const start = text.lastIndexOf('\n', span.start - 1) + 1;
  const end = endOfContent(text, span.end);
  const indent = indentAt(text, span.start);
  const lines = text.slice(start, end).split(/\r?\n/);
  return { start, end, put: [`${indent}# ${note}`, ...lines.map((line) => `${indent}# ${line.slice(indent.length)}`)].join('\n') };
}
