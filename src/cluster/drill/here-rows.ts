import type { Refusal } from '../../kernel/reasons.ts';
import type { ClusterFacts } from '../facts.ts';
import type { ClusterFinding } from '../finding.ts';
import type { ProcessMark } from '../processes.ts';
import type { DrillName } from './drills.ts';
import type { SchemaState } from './table.ts';

/** The leader's processes, those that are seen on this machine. */
export interface LeaderHere {
  /** Its server, proven by its own word. */
  readonly server: ProcessMark;
  /** null: no Patroni that a dbkit of this configuration has started. */
  readonly patroni: ProcessMark | null;
  /** The dbkit that guards that Patroni; null: none lives, or its guard is off. */
  readonly guard: ProcessMark | null;
  /** This user may signal them. */
  readonly maySignal: boolean;
}

/** Everything that a drill on the real cluster depends on. */
export interface HereFacts {
  readonly drill: DrillName;
  readonly cluster: ClusterFacts;
  /** The worst thing that is wrong. */
  readonly finding: ClusterFinding | undefined;
  /** The addresses that clients write to, those that the configuration names. */
  readonly addresses: readonly ('write' | 'pooler')[];
  readonly schema: SchemaState;
  /** A publication FOR ALL TABLES is in the database that would be written to. */
  readonly isPublished: boolean;
  /** null: its server is not on this machine, or nobody can tell. */
  readonly leaderHere: LeaderHere | null;
  /** A person said that rows may be lost. */
  readonly acceptLoss: boolean;
}

interface Refuses {
  readonly id: string;
  readonly when: (facts: HereFacts) => boolean;
  readonly then: 'refuse';
  readonly words: string;
  readonly refusal: Refusal;
}

const refuse = (hint: string): { readonly then: 'refuse'; readonly refusal: Refusal } => ({
  then: 'refuse',
  refusal: { code: 'recovery.refused', hint },
});

const OWN = 'rehearse it on a cluster of its own: `dbkit ha drill {drill}`; nothing was changed';

const harmsProcesses = ({ drill }: HereFacts): boolean => drill !== 'switchover-under-load';
/** Only a guard brings a Patroni back that was killed or stands still, and ends a server that was frozen. */
const needsGuard = ({ drill }: HereFacts): boolean => drill === 'patroni-killed' || drill === 'patroni-hung' || drill === 'freeze';
const isSynchronous = ({ settings, members }: ClusterFacts): boolean =>
  settings?.isSynchronous === true && members.some(({ role }) => role === 'synchronous' || role === 'quorum');

/** First match wins; none: it may be done, and is undone in every case. */
export const hereRefusals = [
  {
    id: 'drill-here-ends-dbkit',
    when: ({ drill }) => drill === 'leader-node' || drill === 'replica-lost' || drill === 'cold-start',
    words: '{drill} ends the dbkit of a member, and whatever starts that again (systemd, a container) is not dbkit’s',
    ...refuse(OWN),
  },
  {
    id: 'drill-here-stops-etcd',
    when: ({ drill }) => drill === 'etcd-down',
    words: 'etcd is not dbkit’s: it may be on other machines, and serve other clusters',
    ...refuse(OWN),
  },
  {
    id: 'drill-here-cuts-network',
    when: ({ drill }) => drill === 'partition',
    words: 'a machine that is cut off could not be reached to mend it',
    ...refuse(OWN),
  },
  {
    id: 'drill-here-paused',
    when: ({ cluster }) => cluster.isPaused,
    words: 'automatic failover is off: the cluster is paused',
    ...refuse('turn it on first: `dbkit ha resume`; nothing was changed'),
  },
  {
    id: 'drill-here-unwell',
    when: ({ finding }) => finding !== undefined,
    words: 'the cluster is not well: {finding}',
    ...refuse('mend that first (`dbkit ha check`), warnings too; nothing was changed'),
  },
  {
    id: 'drill-here-planned',
    when: ({ cluster }) => cluster.scheduledSwitchover !== null,
    words: 'a switchover is planned for {plannedAt}, and could come in the middle',
    ...refuse('cancel it (`dbkit ha switchover --cancel`), or wait until it is over; nothing was changed'),
  },
  {
    id: 'drill-here-no-pooler',
    when: ({ drill, addresses }) => drill === 'switchover-under-load' && !addresses.includes('pooler'),
    words: 'no PgBouncer is named (ha.pooler), which holds clients back meanwhile: they would see errors',
    ...refuse('set ha.pooler, or hand over without a drill: `dbkit ha switchover`; nothing was changed'),
  },
  {
    id: 'drill-here-no-address',
    when: ({ addresses }) => !addresses.includes('write'),
    words: 'the configuration does not name the address that clients write to (ha.writeAddress)',
    ...refuse('set ha.writeAddress; nothing was changed'),
  },
  {
    id: 'drill-here-asynchronous',
    when: ({ cluster, acceptLoss }) => !acceptLoss && !isSynchronous(cluster),
    words: 'no standby is synchronous, so rows of your clients could be lost',
    ...refuse('turn synchronous_mode on (`patronictl edit-config`), or add --accept-loss; nothing was changed'),
  },
  {
    id: 'drill-here-beside-another',
    when: ({ schema }) => schema === 'busy',
    words: 'another drill runs on this cluster',
    ...refuse('wait until it is over; nothing was changed'),
  },
  {
    id: 'drill-here-schema-taken',
    when: ({ schema }) => schema === 'foreign',
    words: 'the database postgres has a schema dbkit_drill that no drill has made',
    ...refuse('rename that schema; nothing was changed'),
  },
  {
    id: 'drill-here-published',
    when: ({ isPublished }) => isPublished,
    words: 'a publication of the database postgres is FOR ALL TABLES: its subscribers would stop at a table that they do not have',
    ...refuse('publish those tables by their names, or rehearse on a cluster of its own: `dbkit ha drill {drill}`; nothing was changed'),
  },
  {
    id: 'drill-here-elsewhere',
    when: (facts) => harmsProcesses(facts) && facts.leaderHere === null,
    words: 'the server of {leader}, which leads, is not seen on this machine',
    ...refuse('type it on the machine of {leader} ({host}), with the configuration of its dbkit; nothing was changed'),
  },
  {
    id: 'drill-here-may-not-signal',
    when: (facts) => harmsProcesses(facts) && facts.leaderHere?.maySignal === false,
    words: 'this user may not signal the processes of {leader}',
    ...refuse('type it as root, or as the user of the server; nothing was changed'),
  },
  {
    id: 'drill-here-unguarded',
    when: (facts) => needsGuard(facts) && (facts.leaderHere?.patroni == null || facts.leaderHere.guard === null),
    words: 'no dbkit is seen that guards the Patroni of {leader}, so nobody would mend it',
    ...refuse(
      'run Patroni under `dbkit entrypoint` with its guard (services.patroni); as root all processes are seen; nothing was changed',
    ),
  },
  {
    id: 'drill-here-first-process',
    when: (facts) => facts.drill === 'freeze' && facts.leaderHere?.guard?.pid === 1,
    words: 'the dbkit of {leader} is process 1 of its container, which nobody can stop from within',
    ...refuse('start it under an init (dbkit-init, tini), or rehearse it on a cluster of its own; nothing was changed'),
  },
] as const satisfies readonly Refuses[];

export type HereRefusalId = (typeof hereRefusals)[number]['id'];
