/** One thing that is shown, or those of its kind that are not. */
export type Shown<T> = { readonly item: T } | { readonly more: readonly [T, T, ...T[]] };

const MOST = 10;

/**
 * The first few of each kind, in their order, and behind them how many more there are: five thousand lines that say the same are read by nobody. One
 * more than the most is shown. Pure.
 */
export function fewOfEach<T>(items: readonly T[], kindOf: (item: T) => string, most = MOST): readonly Shown<T>[] {
  const kinds = new Map<string, T[]>();
  for (const item of items) {
    const kind = kindOf(item);
    const known = kinds.get(kind);
    if (known) known.push(item);
    else kinds.set(kind, [item]);
  }
  const seen = new Map<string, number>();
  return items.flatMap((item): readonly Shown<T>[] => {
    const [kind, at] = [kindOf(item), seen.get(kindOf(item)) ?? 0];
    seen.set(kind, at + 1);
    if (at < most || kinds.get(kind)!.length === most + 1) return [{ item }];
    const [first, second, ...rest] = at === most ? kinds.get(kind)!.slice(most) : [];
    return first === undefined || second === undefined ? [] : [{ more: [first, second, ...rest] }];
  });
}
