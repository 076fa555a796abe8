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

/** A list is held in memory: so much of names is some 1.5 million objects, which are 20 TB of packs. */
const LIST_BYTES_MAX = 256 * 1024 * 1024;
const PAGE_COST_BYTES = 4096;
const OBJECT_COST_BYTES = 64;

/**
 * The objects of a place as it lists them, which may be whatever somebody else says, and without end. What has no key of a store is not counted
 * among them. Throws `store.denied` for more than fits into memory.
 */
export function createListing(place: string, sizeMaxBytes = LIST_BYTES_MAX) {
  const found: StoredObject[] = [];
  let costBytes = 0;
  const pay = (bytes: number): void => {
    costBytes += bytes;
    if (costBytes > sizeMaxBytes)
      throw new DbkitError('store.denied', `${place} lists more objects than a copy ever has`, { hint: 'find out who else writes there' });
  };
  return {
    /** For each page: one without objects is not free either. */
    page: (token = ''): void => pay(PAGE_COST_BYTES + token.length),
    add(key: string, sizeBytes: number): void {
      pay(OBJECT_COST_BYTES + key.length);
      if (!isKey(key) || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return;
      found.push({ key: Buffer.from(key).toString(), sizeBytes }); // A part of a page's text would keep all of it in memory.
    },
    sorted: (): readonly StoredObject[] => found.sort(byKey),
  };
}
