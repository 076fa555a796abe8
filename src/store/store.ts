import { DbkitError } from '../kernel/errors.ts';

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/**
 * A place for objects that are written once and then only read or removed. Every call is bounded in time. Rejects with `store.unavailable` where
 * doing it again may help, `store.denied` where a person must look, `volume.full` where nothing more fits.
 */
export interface Store {
  /** For people: the folder, or the bucket and its endpoint. No secret is in it. */
  readonly place: string;
  /** Whole and durable, or not at all. 'there': the same bytes were there before. Rejects with `file.exists` where other bytes are. */
  put(key: string, body: Uint8Array, signal: AbortSignal): Promise<'stored' | 'there'>;
  /** Undefined where there is none. */
  get(key: string, signal: AbortSignal): Promise<Buffer | undefined>;
  stat(key: string, signal: AbortSignal): Promise<StoredObject | undefined>;
  /** Every object whose key begins so, sorted by key. */
  list(prefix: string, signal: AbortSignal): Promise<readonly StoredObject[]>;
  /** Nothing happens where there is none. */
  remove(key: string, signal: AbortSignal): Promise<void>;
}

/** An object is put by one request and held in memory. */
export const OBJECT_BYTES_MAX = 16 * 1024 * 1024;

/** Parts that no file system and no bucket reads in another way; none begins with a dot, so that work in progress can. */
const KEY = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}(\/[A-Za-z0-9_][A-Za-z0-9._-]{0,254})*$/;

export const isKey = (key: string): boolean => KEY.test(key) && key.length <= 1000;

export function requireKey(key: string): void {
  if (!isKey(key)) throw new RangeError(`'${key}' is no key of a store`);
}

export function requireSize(key: string, body: Uint8Array): void {
  if (body.length > OBJECT_BYTES_MAX)
    throw new RangeError(`${key} has ${body.length} bytes, and an object has ${OBJECT_BYTES_MAX} at most`);
}

/** Nothing larger was ever put, and it would not fit into memory. */
export const tooLarge = (where: string): DbkitError =>
  new DbkitError('data.corrupt', `${where} is larger than ${OBJECT_BYTES_MAX / 1024 ** 2} MiB, which no object of dbkit’s ever is`, {
    hint: 'find out who else writes there',
  });

export const otherBytes = (place: string, key: string): DbkitError =>
  new DbkitError('file.exists', `${place} holds other bytes under ${key} already`, {
    hint: 'nothing was overwritten; find out who else writes there',
  });

export const byKey = (a: StoredObject, b: StoredObject): number => (a.key < b.key ? -1 : 1);
