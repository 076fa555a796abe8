import type { ChoreStep, ChoreWish, LogsPruned, Need, Upkeep } from './needs.ts';

type Needs = { readonly upkeep: Upkeep };

/** What would help the running server, the most first. */
export async function reviewNeeds(
  { upkeep }: Needs,
  database: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly needs: readonly Need[] }> {
  return { needs: await upkeep.needs(database, signal) };
}

export interface ChoreReport {
  readonly chore: ChoreWish['chore'];
  readonly dryRun: boolean;
  readonly steps: readonly ChoreStep[];
}

/** Vacuums, analyzes or rebuilds what needs it, or what is named; what is locked is skipped, and said. */
export async function doChore({ upkeep }: Needs, wish: ChoreWish, signal: AbortSignal): Promise<ChoreReport> {
  return { chore: wish.chore, dryRun: wish.dryRun, steps: await upkeep.run(wish, signal) };
}

/** `durationMs` is what the checkpoint took, `walBytes` the WAL that a crash recovery need not replay any more. */
export async function checkpointNow(
  { upkeep }: Needs,
  signal: AbortSignal,
): Promise<{ readonly durationMs: number; readonly walBytes: number }> {
  return upkeep.checkpoint(signal);
}

/** Removes old logs by age and by size. */
export async function pruneLogs({ upkeep }: Needs, dryRun: boolean, signal: AbortSignal): Promise<LogsPruned> {
  return upkeep.pruneLogs({ dryRun }, signal);
}
