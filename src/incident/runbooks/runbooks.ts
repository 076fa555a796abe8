import { nearest } from '../../kernel/closest-name.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { always, type Runbook, type Step } from '../runbook.ts';
import { dataDeleted } from './data-deleted.ts';
import { databaseCorrupt } from './database-corrupt.ts';
import { diskFull } from './disk-full.ts';
import { partition } from './partition.ts';
import { pointInTime } from './point-in-time.ts';
import { primaryDown } from './primary-down.ts';
import { replicaDown } from './replica-down.ts';
import { replicationLag } from './replication-lag.ts';
import { totalOutage } from './total-outage.ts';

/** Steps of every runbook: the first one of people, and the last one. */
export const commonSteps = [
  {
    id: 'tell-people',
    phase: 'first-response',
    when: always,
    words: 'send the status update below, and call who is due',
    command: null,
  },
  {
    id: 'tell-people-of-the-restore',
    phase: 'prepare',
    when: always,
    words: 'send the status update below: people must know what will be left out',
    command: null,
  },
  {
    id: 'write-the-report',
    phase: 'recovery',
    when: always,
    words: 'write down what happened while it is known',
    command: 'dbkit report incident',
  },
  {
    id: 'write-the-report-of-the-restore',
    phase: 'afterwards',
    when: always,
    words: 'write down what happened while it is known',
    command: 'dbkit report incident',
  },
] as const satisfies readonly Step[];

/** In the order in which they are offered: what costs most comes first. */
const own = [
  partition,
  totalOutage,
  primaryDown,
  databaseCorrupt,
  diskFull,
  replicaDown,
  replicationLag,
  dataDeleted,
  pointInTime,
] as const satisfies readonly Runbook[];

export const runbooks: readonly Runbook[] = own.map((runbook): Runbook => {
  const steps: readonly Step[] = runbook.steps;
  const phases = new Set<string>(steps.map(({ phase }) => phase));
  return { ...runbook, steps: [...steps, ...commonSteps.filter(({ phase }) => phases.has(phase))] };
});

/** Every step once, for `dbkit explain`. */
export const everyStep: readonly Step[] = [...own.flatMap(({ steps }): readonly Step[] => steps), ...commonSteps];

/** Rejects with `usage.invalid` for a name that there is not. */
export function runbookNamed(name: string): Runbook {
  const found = runbooks.find((runbook) => runbook.name === name);
  if (found) return found;
  const names = runbooks.map((runbook) => runbook.name);
  const close = nearest(name, names);
  throw new DbkitError('usage.invalid', `there is no runbook '${name}'${close === undefined ? '' : `; did you mean '${close}'?`}`, {
    hint: `the runbooks are ${names.join(', ')}`,
  });
}
