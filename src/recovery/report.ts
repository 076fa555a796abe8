import type { Finding } from '../inspection/findings.ts';
import { incident, type incidents, type RecoveryReason } from './incidents.ts';
import type { Decision, Strategy } from './ladder-facts.ts';
import { howMuch, type Loss } from './losses.ts';
import type { RemedyId } from './remedies.ts';

export interface RecoverRequest {
  readonly dryRun: boolean;
  /** Forces one rung; undefined lets the ladder decide. */
  readonly strategy: Strategy | undefined;
  /** The asker; default: a person. */
  readonly trigger?: RecoveryTrigger;
}

/** 'start': the server was to be started, at a boot or after it had died. */
export type RecoveryTrigger = 'start' | 'person' | 'monitor';

export const lostSomething = ({ losses }: RecoveryReport): boolean => howMuch(losses) === 'something';

/** The report of a server that runs and is well. */
export const serving = (plan: RecoveryReport): RecoveryReport => ({ ...plan, ...incident('nothing-to-recover'), serving: true });

/** The instance of a plan, so that a person sees which data it is before he says yes. */
export interface RecoveryTarget {
  readonly dataDir: string;
  readonly sizeBytes: number;
  /** Null where pg_control does not say. */
  readonly systemIdentifier: string | null;
}

/** The report of one recovery: what `recover --json` prints and `status` remembers. */
export interface RecoveryReport {
  readonly at: string;
  readonly findings: readonly Finding[];
  readonly decision: Decision;
  /** Which row decided it (`dbkit explain`); null in a report of an earlier version, which has the words only. */
  readonly reason: RecoveryReason | null;
  readonly because: string;
  readonly steps: readonly {
    readonly step: string;
    readonly reason?: RemedyId | keyof typeof incidents;
    readonly because: string;
    readonly done: boolean;
  }[];
  /** Where the replaced bytes are now; null when nothing was replaced. */
  readonly quarantine: string | null;
  /** Never empty: `nothing` is said aloud. */
  readonly losses: readonly Loss[];
  /** The same in words, for people and for older readers: made by `told`, never read by dbkit. */
  readonly lost: string;
  readonly durationMs: number;
  readonly trigger?: RecoveryTrigger;
  readonly target?: RecoveryTarget;
  /** The server ran all along: nothing was stopped, and nothing done. */
  readonly serving?: true;
  /** When the server answered again; absent until it has. Counted from `at` less `durationMs`, it is how long the recovery took in all. */
  readonly readyAt?: string;
}

/** Plans and, unless `dryRun`, applies; the server is stopped before and after. Rejects with `server.running` / `lock.held` when it is not. */
export type Recover = (request: RecoverRequest, signal: AbortSignal) => Promise<RecoveryReport>;
