/**
 * A piece of a segment that is not whole yet: its bytes from `from` to `to`. Pieces of one generation follow one another from 0 on; a newer generation begins
 * with all that was known, and counts alone.
 */
export interface TailPiece {
  readonly key: string;
  readonly timeline: string;
  readonly segment: string;
  readonly generation: number;
  readonly from: number;
  readonly to: number;
}

const hex = (count: number, digits: number): string => count.toString(16).padStart(digits, '0');

/** Its key below the cluster's folder, without the suffix of the seal. */
export const tailKey = ({ timeline, segment, generation, from, to }: Omit<TailPiece, 'key'>): string =>
  `wal/${timeline}/tail/${segment}-${hex(generation, 4)}-${hex(from, 8)}-${hex(to, 8)}.zst`;

const PIECE = /^wal\/([0-9A-F]{8})\/tail\/([0-9A-F]{24})-(?:([0-9a-f]{4,8})-([0-9a-f]{8})-)?([0-9a-f]{8})\.zst(?:\.age)?$/;

/** Undefined for what is no such key. One without a generation is older than all that have one, and begins at 0. */
export function parseTail(key: string): TailPiece | undefined {
  const [, timeline, segment, generation = '0', from = '0', to] = PIECE.exec(key) ?? [];
  if (timeline === undefined || segment === undefined || to === undefined) return undefined;
  const [number, begin, end] = [generation, from, to].map((digits) => Number.parseInt(digits, 16)) as [number, number, number];
  return { key, timeline, segment, generation: number, from: begin, to: end };
}

/** The pieces that make the most of a segment, in their order: of the newest generation that begins at 0. Empty where there is none. Pure. */
export function chainOf(pieces: readonly TailPiece[]): readonly TailPiece[] {
  const starts = pieces.filter(({ from }) => from === 0);
  const generation = Math.max(...starts.map((one) => one.generation));
  const own = pieces.filter((one) => one.generation === generation);
  const chain: TailPiece[] = [];
  for (let at = 0; ; ) {
    const next = own.filter(({ from, to }) => from === at && to > at).sort((a, b) => b.to - a.to)[0];
    if (next === undefined) return chain;
    chain.push(next);
    at = next.to;
  }
}
