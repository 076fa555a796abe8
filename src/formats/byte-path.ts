/**
 * A file path as its bytes, one character (0 to 255) per byte: file names need not be UTF-8, and decoding them as such would lose bytes.
 * Always relative to a root, without a leading slash, unless a name says otherwise.
 */
export type BytePath = string & { readonly __bytePath: never };

export const bytePath = (bytes: Uint8Array): BytePath => Buffer.from(bytes).toString('latin1') as BytePath;

/** From text of our own (labels, PostgreSQL's fixed names, configuration), which is UTF-8 on disk. */
export const fromText = (text: string): BytePath => bytePath(Buffer.from(text, 'utf8'));

/** Paths as Node's file functions take them. */
export const toBytes = (path: BytePath): Buffer => Buffer.from(path, 'latin1');

/** For people: bytes that are not UTF-8 show as the replacement character. */
export const toText = (path: BytePath): string => toBytes(path).toString('utf8');

export const join = (...parts: readonly BytePath[]): BytePath => parts.filter((part) => part !== '').join('/') as BytePath;

export const parentOf = (path: BytePath): BytePath => path.slice(0, Math.max(path.lastIndexOf('/'), 0)) as BytePath;

export const nameOf = (path: BytePath): string => path.slice(path.lastIndexOf('/') + 1);
