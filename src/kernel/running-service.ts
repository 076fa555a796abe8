import type { ExitReason } from './machine.ts';

export type StopMode = 'smart' | 'fast' | 'immediate';

/** A service that is up. `exited` settles when it dies or is stopped. */
export interface RunningService {
  readonly pid: number | undefined;
  readonly exited: Promise<ExitReason>;
  /** Settles when its process has ended, where `exited` waits for what is noted afterwards too. */
  readonly gone?: Promise<ExitReason>;
  stop(mode: StopMode, signal: AbortSignal): Promise<void>;
  /** SIGHUP's meaning, where there is one. */
  reload?(): Promise<void>;
  /** Details for `status`. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}
