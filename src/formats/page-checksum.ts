const bases = new Uint32Array([
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f, 0xe39eb970, 0x42c6ae16,
  0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2,
  0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
]);
const FNV_PRIME = 16777619;

/** PostgreSQL's page checksum (storage/checksum_impl.h): 32 FNV-1a sums side by side, folded, mixed with the block number. */
export function pageChecksum(page: Uint8Array, blockNumber: number): number {
  const aligned = page.byteOffset % 4 === 0 ? page : Uint8Array.from(page);
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
  const sums = new Int32Array(bases);
  for (let i = 0; i < words.length; i += 32) {
    for (let j = 0; j < 32; j += 1) {
      const word = i === 0 && j === 2 ? words[2]! & ~0xffff : words[i + j]!; // pd_checksum counts as zero.
      const mixed = sums[j]! ^ word;
      sums[j] = Math.imul(mixed, FNV_PRIME) ^ (mixed >>> 17);
    }
  }
  let folded = 0;
  for (let j = 0; j < 32; j += 1) {
    let sum = sums[j]!;
    for (let round = 0; round < 2; round += 1) sum = Math.imul(sum, FNV_PRIME) ^ (sum >>> 17);
    folded ^= sum;
  }
  return (((folded ^ blockNumber) >>> 0) % 65535) + 1;
}
