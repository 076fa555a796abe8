import type { ServiceState } from '../control/status.ts';
import { decide, type Row } from '../kernel/reasons.ts';
import type { Readiness } from '../supervisor/report-status.ts';

/** The state in which somebody types `dbkit`. */
export interface NextFacts {
  readonly readiness: Readiness;
  readonly services: readonly ServiceState[];
  /** There is data, a backup of it, or a trace of a recovery. */
  readonly isKnown: boolean;
  /** Data of `--local` lies in this folder, and the command was typed without that flag. */
  readonly isLocalHere: boolean;
  readonly hasGoodBackup: boolean;
  /** The last recovery lost something, or nobody knows. */
  readonly lostSomething: boolean;
}

type Rule = Row<NextFacts, readonly string[]>;

/** First match wins. `then`: three commands that make sense now. */
const rows = [
  {
    id: 'next-held',
    when: ({ services }) => services.some((state) => state === 'held' || state === 'failed'),
    then: ['dbkit status', 'dbkit recover --dry-run', 'dbkit recover'],
    words: 'a service needs a person',
  },
  {
    id: 'next-starting',
    when: ({ readiness }) => readiness === 'rejecting',
    then: ['dbkit wait', 'dbkit status', 'dbkit explain'],
    words: 'the server is starting or stopping',
  },
  {
    id: 'next-local',
    when: ({ isLocalHere, readiness }) => isLocalHere && readiness !== 'accepting',
    then: ['dbkit --local', 'dbkit up --local --detach', 'dbkit sql --local'],
    words: 'no server answers there, but the data of --local lies in this folder',
  },
  {
    id: 'next-nothing-here',
    when: ({ isKnown, readiness }) => !isKnown && readiness !== 'accepting',
    then: ['dbkit entrypoint --local -- CMD', 'dbkit init devcontainer', 'dbkit up --detach'],
    words: 'there is no database here yet',
  },
  {
    id: 'next-stopped',
    when: ({ readiness }) => readiness !== 'accepting',
    then: ['dbkit up --detach', 'dbkit inspect', 'dbkit backup list'],
    words: 'no server answers',
  },
  {
    id: 'next-rows-lost',
    when: ({ lostSomething }) => lostSomething,
    then: ['dbkit recover history', 'dbkit backup undo', 'dbkit sql'],
    words: 'the last recovery lost something, or nothing proves that it did not',
  },
  {
    id: 'next-no-backup',
    when: ({ hasGoodBackup }) => !hasGoodBackup,
    then: ['dbkit backup create', 'dbkit sql', 'dbkit health'],
    words: 'there is no good backup',
  },
  { id: 'next-all-well', when: () => true, then: ['dbkit sql', 'dbkit health', 'dbkit backup list'], words: 'all is well' },
] as const satisfies readonly Rule[];

export type NextId = (typeof rows)[number]['id'];
export const nextSteps: readonly (Rule & { readonly id: NextId })[] = rows;

/** The row that matches. Pure. */
export const nextStepFor = (facts: NextFacts): Rule & { readonly id: NextId } => decide(nextSteps, facts);
