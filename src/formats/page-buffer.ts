import { isZero, type PageRule, pageLsn, type SuspectPage } from './pages.ts';

/** Room for pages that are read straight into the memory of the checksum program, and judged where they lie. */
export interface PageBuffer {
  readonly bytes: Buffer;
  /** The pages that fail among the first `lengthBytes`; `firstBlock` is the buffer's first block within the file. A partial page is not judged. */
  findUnsound(lengthBytes: number, firstBlock: number, rule: PageRule): SuspectPage[];
}

/** page-checksum.wat, compiled by wabt (a test compiles it again): thirty times as fast as the same in JavaScript. */
const PROGRAM =
  'AGFzbQEAAAABCAFgBH9/f38AAhEBBWRia2l0Bm1lbW9yeQIAAQMCAQAHCAEEZm9sZAAACuAGAd0GAgN/CXtBk4OACP0RIQcCQANAIAAgAU8NASAAIAJqIQUgAC8BCCEG' +
  'IABBADsBCP0M6TYfW2BZUriqUKsCKm3mHSEI/Qx6Rv95o/i5m9J8fiEsPeGDIQn9DE9H1PhwuZ7jFq7GQvoWMpkhCv0MXTsJezz/2pgqkBj325wcCyEL/QxLdo/lvDZ2' +
  'GLE7e13e5z3nIQz9DHnJvpKywKbMeQlKMNRDqoUhDf0MuyUxeKLqqGzG6gfkPvxcSyEO/Qx2jL+fviDKFdOfyvJW15uVIQ8gACEEA0AgCCAE/QAAAP1RIQggCCAH/bUB' +
  'IAhBEf2tAf1RIQggCSAE/QAAEP1RIQkgCSAH/bUBIAlBEf2tAf1RIQkgCiAE/QAAIP1RIQogCiAH/bUBIApBEf2tAf1RIQogCyAE/QAAMP1RIQsgCyAH/bUBIAtBEf2t' +
  'Af1RIQsgDCAE/QAAQP1RIQwgDCAH/bUBIAxBEf2tAf1RIQwgDSAE/QAAUP1RIQ0gDSAH/bUBIA1BEf2tAf1RIQ0gDiAE/QAAYP1RIQ4gDiAH/bUBIA5BEf2tAf1RIQ4g' +
  'DyAE/QAAcP1RIQ8gDyAH/bUBIA9BEf2tAf1RIQ8gBEGAAWoiBCAFSQ0ACyAIIAf9tQEgCEER/a0B/VEhCCAJIAf9tQEgCUER/a0B/VEhCSAKIAf9tQEgCkER/a0B/VEh' +
  'CiALIAf9tQEgC0ER/a0B/VEhCyAMIAf9tQEgDEER/a0B/VEhDCANIAf9tQEgDUER/a0B/VEhDSAOIAf9tQEgDkER/a0B/VEhDiAPIAf9tQEgD0ER/a0B/VEhDyAIIAf9' +
  'tQEgCEER/a0B/VEhCCAJIAf9tQEgCUER/a0B/VEhCSAKIAf9tQEgCkER/a0B/VEhCiALIAf9tQEgC0ER/a0B/VEhCyAMIAf9tQEgDEER/a0B/VEhDCANIAf9tQEgDUER' +
  '/a0B/VEhDSAOIAf9tQEgDkER/a0B/VEhDiAPIAf9tQEgD0ER/a0B/VEhDyAIIAn9USEIIAggCv1RIQggCCAL/VEhCCAIIAz9USEIIAggDf1RIQggCCAO/VEhCCAIIA/9' +
  'USEIIAMgCP0bACAI/RsBcyAI/RsCIAj9GwNzczYCACAAIAY7AQggBSEAIANBBGohAwwACwsL';

interface Wasm {
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { fold(page: number, end: number, pageBytes: number, out: number): void } };
}
const PAGE_BYTES_MIN = 1024;
const WASM_PAGE_BYTES = 65_536;

/**
 * So much of a file is read at once: a multiple of every block size there is, and little enough to stay in a core's own cache with what it is compared with
 * (bench/README.md: a MiB at once takes three to four times the processor time, and from a cold disk as long).
 */
export const BUFFER_BYTES = 128 * 1024;
let shared: PageBuffer | undefined;

/** This thread's own: whoever reads pages does so in one go, without waiting. */
export function pageBuffer(): PageBuffer {
  shared ??= createPageBuffer(BUFFER_BYTES);
  return shared;
}

function createPageBuffer(sizeBytes: number): PageBuffer {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: Wasm }; // Node has it; TypeScript knows it only with a browser's types.
  const foldsBytes = (sizeBytes / PAGE_BYTES_MIN) * Uint32Array.BYTES_PER_ELEMENT;
  const memory = new WebAssembly.Memory({ initial: Math.ceil((sizeBytes + foldsBytes) / WASM_PAGE_BYTES) });
  const { fold } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(PROGRAM, 'base64')), { dbkit: { memory } }).exports;
  const bytes = Buffer.from(memory.buffer, 0, sizeBytes);
  const folds = new Uint32Array(memory.buffer, sizeBytes, foldsBytes / Uint32Array.BYTES_PER_ELEMENT);
  return {
    bytes,
    findUnsound(lengthBytes, firstBlock, rule) {
      const size = rule.blockSizeBytes;
      const pages = Math.floor(lengthBytes / size);
      fold(0, pages * size, size, sizeBytes);
      const unsound: SuspectPage[] = [];
      for (let page = 0; page < pages; page += 1) {
        const at = page * size;
        const block = firstBlock + page;
        const isSound =
          bytes.readUInt16LE(at + 14) === 0 // pd_upper: never initialised
            ? isZero(bytes.subarray(at, at + size))
            : (((folds[page]! ^ (rule.firstBlock + block)) >>> 0) % 65_535) + 1 === bytes.readUInt16LE(at + 8);
        if (!isSound) unsound.push({ block, lsn: pageLsn(bytes, at) });
      }
      return unsound;
    },
  };
}
