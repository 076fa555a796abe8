import type { Clock } from '../kernel/machine.ts';
import type { MonitorMemory } from './decide.ts';
import { type MonitorEvent, type MonitorState, remembered, watchingAnew } from './decide.ts';

export interface MonitorReport {
  readonly state: MonitorState;
  /** The last check; null where no monitor was ever run here. */
  readonly checkedAt: string | null;
  readonly events: readonly MonitorEvent[];
}

/** The state of the monitor after its last check. */
export async function reportMonitor({ memory }: { readonly memory: MonitorMemory }): Promise<MonitorReport> {
  const known = await memory.read();
  return known ?? { state: watchingAnew, checkedAt: null, events: [] };
}

/** A planned stop: nothing is recovered for as long. */
export const pauseMonitor = (
  app: { readonly memory: MonitorMemory; readonly clock: Clock },
  forMs: number,
  by: 'down' | 'person',
): Promise<MonitorReport> => {
  const now = app.clock.now();
  const until = new Date(now.getTime() + forMs).toISOString();
  return change(app, `paused until ${until}`, (state) =>
    // A longer pause that a person asked for outlasts a planned stop, and the start after it.
    by === 'down' && state.pausedBy !== 'down' && state.pausedUntil !== null && state.pausedUntil > until
      ? state
      : { ...state, pausedUntil: until, pausedSince: now.toISOString(), pausedBy: by },
  );
};

/** It watches again, and may try again what it had given up. */
export const resumeMonitor = (app: { readonly memory: MonitorMemory; readonly clock: Clock }): Promise<MonitorReport> =>
  change(app, 'resumed', (state) => ({
    ...state,
    pausedUntil: null,
    pausedSince: null,
    pausedBy: null,
    gaveUp: false,
    failures: 0,
    recoveries: 0,
    lastRecoveryAt: null,
  }));

/** The services are started again: the planned stop is over, whatever time was left of it. Where nothing was planned nothing is written. */
export async function endPlannedStop(app: { readonly memory: MonitorMemory; readonly clock: Clock }): Promise<void> {
  const state = (await app.memory.read())?.state;
  if (state?.pausedBy !== 'down' || state.pausedUntil === null) return;
  await change(app, 'the planned stop is over: the services are started again', (known) => ({
    ...known,
    pausedUntil: null,
    pausedSince: null,
    pausedBy: null,
  }));
}

async function change(
  { memory, clock }: { readonly memory: MonitorMemory; readonly clock: Clock },
  what: string,
  change: (state: MonitorState) => MonitorState,
): Promise<MonitorReport> {
  const known = await memory.read();
  const at = clock.now().toISOString();
  const next = {
    state: change(known?.state ?? watchingAnew),
    checkedAt: known?.checkedAt ?? at,
    events: remembered(known?.events ?? [], [{ at, what }]),
  };
  await memory.write(next);
  return next;
}
