import type { App } from '../core/app.ts';
import type { ChoreStep, ChoreWish, LogsPruned, Need } from '../core/upkeep.ts';

type Needs = Pick<App, 'instance'>;

/** What would help the running server, the most first. */
export async function reviewNeeds(
  { instance }: Needs,
  database: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly needs: readonly Need[] }> {
  return { needs: await instance.upkeep.needs(database, signal) };
}

export interface ChoreReport {
  readonly chore: ChoreWish['chore'];
  readonly dryRun: boolean;
  readonly steps: readonly ChoreStep[];
}

/** Vacuums, analyzes or rebuilds what needs it, or what is named; what is locked is skipped, and said. */
export async function doChore({ instance }: Needs, wish: ChoreWish, signal: AbortSignal): Promise<ChoreReport> {
  return { chore: wish.chore, dryRun: wish.dryRun, steps: await instance.upkeep.run(wish, signal) };
}

/** `durationMs` is what the checkpoint took, `walBytes` the WAL that a crash recovery need not replay any more. */
export async function checkpointNow(
  { instance }: Needs,
  signal: AbortSignal,
): Promise<{ readonly durationMs: number; readonly walBytes: number }> {
  return instance.upkeep.checkpoint(signal);
}

/** Removes old logs by age and by size. */
export async function pruneLogs({ instance }: Needs, dryRun: boolean, signal: AbortSignal): Promise<LogsPruned> {
  return instance.upkeep.pruneLogs({ dryRun }, signal);
}
