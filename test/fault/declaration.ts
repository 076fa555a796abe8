import type { ConfigInput } from '../../src/config/config.ts';
import type { FindingCode } from '../../src/inspection/findings.ts';
import type { Loss } from '../../src/recovery/losses.ts';
import type { Instance } from '../harness/instance.ts';

/** One row of docs/FAULTS.md, and where its test runs. */
export interface Class {
  /** What happened, in the words of whom it happened to. */
  readonly name: string;
  /** A: not corruption. B: one right answer. C: needs other bytes. D: nothing to restore from. */
  readonly section: 'A' | 'B' | 'C' | 'D';
  /** Whether `dbkit inspect` names it before the server is started. */
  readonly detectedBefore: boolean;
  readonly healedBy: 'start' | 'repair' | 'restore' | 'initialize' | 'reinitialize' | 'refusal' | 'serving the rest';
  /** In words: 'none', or which. */
  readonly rowsLost: string;
  /** Runs in the long tier only: `npm run test:long`. */
  readonly longTier?: boolean;
  /** Default: that of vitest.config.ts. */
  readonly timeoutMs?: number;
  readonly majors?: readonly number[];
  /** Why it cannot be staged here; undefined when it can. */
  readonly needs?: () => string | undefined;
}

/** How the instance was left before it was broken: by a stop of dbkit's, by a power cut, never touched by dbkit, or not made yet. */
export type Left = 'clean' | 'crashed' | 'unseen' | 'empty';

/** A class told as data: how to break an instance, and what dbkit must make of it. */
export interface Disaster extends Class {
  readonly left: Left;
  /** dbkit's configuration, from the first boot on. */
  readonly config?: ConfigInput;
  /** The environment of the boot after the disaster only. */
  readonly env?: (instance: Instance) => Readonly<Record<string, string | undefined>>;
  /** The server accepts connections before it complains, so it has written to its own files. */
  readonly startsFirst?: boolean;
  /** Done while the server runs, before it is left. */
  readonly prepare?: (instance: Instance) => Promise<void>;
  readonly break: (instance: Instance) => Promise<void>;
  /** What PostgreSQL itself says of it; asserted against a bare `postgres` with DBKIT_TEST_ALL=1. */
  readonly postgresSays?: RegExp;
  /** After a refusal: what its message tells a person to do. The boot after that is plain and every row is there. */
  readonly mend?: (instance: Instance) => Promise<void>;
  readonly expect: Expectation;
}

export interface Expectation {
  /** The entrypoint's status when it refuses; absent when it serves. */
  readonly exit?: number;
  /** What it says on stderr. */
  readonly message?: RegExp;
  /** Reported by the inspection (detectedBefore) or by the boot. */
  readonly finding?: FindingCode;
  readonly rows?: 'all' | 'a new instance' | ((instance: Instance, added: number) => Promise<void>);
  /** What was replaced: nothing, the whole cluster, or these files; the old bytes are compared. */
  readonly quarantine?: 'none' | 'whole' | readonly string[] | ((instance: Instance) => readonly string[]);
  /** What the report says is lost; 'nothing' where every row is there. */
  readonly lost?: RegExp;
  /** The kinds of its losses; where every row is there, nothing. */
  readonly losses?: readonly Loss['kind'][];
  /** What the next inspection still finds: damage that is served around. */
  readonly remains?: readonly FindingCode[];
}
