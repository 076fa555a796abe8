import { DbkitError } from '../kernel/errors.ts';

const DEPTH_MAX = 100;

/**
 * Pure. Whether a path out of a manifest stays below the backup: relative, no `..`, no `.`, no empty part, no NUL (as restic checks the names of
 * its tree's nodes). Bytes as one character each, or text.
 */
export function isPathInside(path: string): boolean {
  const parts = path.split('/');
  return parts.length <= DEPTH_MAX && parts.every(isPlainName);
}

/** Pure. Whether a name names one entry of a folder, and nothing else. */
export const isPlainName = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0') && Buffer.byteLength(name, 'utf8') <= 1024;

const NESTING_MAX = 64;
/** More is no text: V8 has none that is longer. It describes two million files. */
export const JSON_BYTES_MAX = 511 * 1024 * 1024;
/** A list or an object that dbkit or PostgreSQL write takes more bytes; `[],` a million times takes thirty times its size. */
const BYTES_FOR_EACH = 16;
const FEW = 1000;

/**
 * JSON that somebody else may have written. Rejects with `data.corrupt` when it is none, nested so deeply that reading it would end the process or
 * take minutes, or made to take many times its size in memory.
 */
export function parseJson(body: Buffer, what: string): unknown {
  requireFlat(body, what);
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new DbkitError('data.corrupt', `${what} is not JSON`, { cause });
  }
}

const [QUOTE, BACKSLASH, OPENING_LIST, CLOSING_LIST, OPENING, CLOSING] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

function requireFlat(body: Buffer, what: string): void {
  let [depth, count] = [0, 0];
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === OPENING_LIST || byte === OPENING) [depth, count] = [depth + 1, count + 1];
    else if (byte === CLOSING_LIST || byte === CLOSING) depth -= 1;
    if (depth > NESTING_MAX) throw new DbkitError('data.corrupt', `${what} is nested more deeply than such a file ever is`);
  }
  if (count > FEW + body.length / BYTES_FOR_EACH)
    throw new DbkitError(
      'data.corrupt',
      `${what} holds ${count} lists and objects in ${body.length} bytes, more than such a file ever does`,
    );
}

/** Where the string that begins at `from` ends. */
function endOfString(body: Buffer, from: number): number {
  for (let at = body.indexOf(QUOTE!, from + 1); at >= 0; at = body.indexOf(QUOTE!, at + 1)) {
    let escapes = 0;
    while (body[at - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return body.length;
}
