/**
 * Runs `work` over `items`, at most `limit` at a time, in order of their beginning. Rejects with the first failure, after what was under way
 * has settled: nothing writes any more when it returns.
 */
export async function forEachLimited<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  let failure: { readonly thrown: unknown } | undefined;
  const lane = async (): Promise<void> => {
    for (const item of queue) {
      if (failure) return;
      try {
        await work(item);
      } catch (thrown) {
        failure ??= { thrown };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  if (failure) throw failure.thrown;
}
