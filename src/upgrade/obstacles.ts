import { fill, type Refusal } from '../kernel/reasons.ts';
import { bytes } from '../kernel/units.ts';
import type { Obstacle } from './contract.ts';
import type { UpgradeMethod } from './methods.ts';

/** Facts of the files, and, once the old server was asked, of its catalogs. */
export interface UpgradeFacts {
  /** Of PG_VERSION; null where there is no cluster. */
  readonly from: number | null;
  /** Null: there are no programs at all. */
  readonly to: number | null;
  readonly hasOldPrograms: boolean;
  /** The major of the folder that POSTGRES_BIN_DIR names; null: none is named. */
  readonly configuredMajor: number | null;
  readonly method: UpgradeMethod | null;
  readonly canFiles: boolean;
  readonly canDump: boolean;
  readonly dataDir: string;
  /** The first certain finding of the inspection. */
  readonly damage: string | null;
  readonly isStandby: boolean;
  readonly configurationElsewhere: string | null;
  readonly tablespaces: number;
  readonly preparedFiles: number;
  readonly pathIsPlain: boolean;
  readonly neededBytes: number;
  readonly freeBytes: number;
  /** From here on undefined while no server was asked. */
  readonly prepared?: readonly string[];
  readonly closed?: readonly string[];
  readonly invalid?: readonly string[];
  readonly template1Objects?: number;
  readonly unavailableExtensions?: readonly string[];
}

interface ObstacleRow {
  readonly id: string;
  readonly when: (facts: UpgradeFacts) => boolean;
  readonly words: string;
  readonly refusal: Refusal;
}

const some = (list: readonly unknown[] | undefined): boolean => (list ?? []).length > 0;
const byDump = ({ method }: UpgradeFacts): boolean => method === 'dump';

/** Every row that matches is told; the first one is the failure. */
export const obstacleRows = [
  {
    id: 'nothing-to-upgrade',
    when: ({ from }) => from === null,
    words: 'there is no cluster in {dataDir}',
    refusal: { code: 'recovery.refused', hint: 'set PGDATA to the data directory; nothing was changed' },
  },
  {
    id: 'upgrade-already-done',
    when: ({ from, to }) => from !== null && from === to,
    words: 'the data is of PostgreSQL {from} already',
    refusal: { code: 'recovery.refused', hint: 'there is nothing to do; --to names a newer major whose programs are installed' },
  },
  {
    id: 'upgrade-goes-back',
    when: ({ from, to }) => from !== null && to !== null && to < from,
    words: 'the data is of PostgreSQL {from}, and {to} is older',
    refusal: {
      code: 'data.version',
      hint: 'install the programs of a newer major, or take a dump and restore it there; nothing was changed',
    },
  },
  {
    id: 'new-programs-missing',
    when: ({ from, to }) => from !== null && to === null,
    words: 'no programs of a major newer than {from} are installed',
    refusal: {
      code: 'program.missing',
      hint: 'install them beside the old ones (Debian: apt-get install postgresql-17); nothing was changed',
    },
  },
  {
    id: 'old-programs-missing',
    when: ({ from, to, hasOldPrograms }) => from !== null && to !== null && to > from && !hasOldPrograms,
    words: 'the data is of PostgreSQL {from}, and its programs are not here: only they can read it',
    refusal: {
      code: 'program.missing',
      hint: 'install them beside the new ones (Debian: apt-get install postgresql-{from}; in an image: COPY --from=postgres:{from}), or name their folder with --old-bin-dir; nothing was changed',
    },
  },
  {
    id: 'programs-stay-old',
    when: ({ to, configuredMajor }) => to !== null && configuredMajor !== null && configuredMajor !== to,
    words: 'POSTGRES_BIN_DIR names programs of {configuredMajor}, which could not start the data afterwards',
    refusal: { code: 'config.invalid', hint: 'set POSTGRES_BIN_DIR to the programs of {to}, or remove it; nothing was changed' },
  },
  {
    id: 'damaged-before-upgrade',
    when: ({ damage }) => damage !== null,
    words: 'the data is not whole: {damage}',
    refusal: { code: 'data.corrupt', hint: 'mend it with the old programs first: `dbkit recover --dry-run`; nothing was changed' },
  },
  {
    id: 'standby-not-upgraded',
    when: ({ isStandby }) => isStandby,
    words: 'it is a standby, and standbys are made again from their upgraded primary',
    refusal: { code: 'recovery.refused', hint: 'upgrade the primary; then take a base backup of it for this one; nothing was changed' },
  },
  {
    id: 'configuration-elsewhere',
    when: ({ configurationElsewhere }) => configurationElsewhere !== null,
    words: 'its configuration is in {configurationElsewhere}, outside the data directory',
    refusal: { code: 'recovery.refused', hint: 'use Debian’s own tool, which knows both places: `pg_upgradecluster`; nothing was changed' },
  },
  {
    id: 'tablespaces-not-moved',
    when: ({ tablespaces }) => tablespaces > 0,
    words: 'it has {tablespaces} tablespaces outside the data directory, which could not be kept whole beside the new ones',
    refusal: {
      code: 'recovery.refused',
      hint: 'move their tables to pg_default (ALTER TABLE … SET TABLESPACE) and drop them; nothing was changed',
    },
  },
  {
    id: 'prepared-transactions-open',
    when: ({ preparedFiles, prepared }) => preparedFiles > 0 || some(prepared),
    words: 'a prepared transaction is open',
    refusal: {
      code: 'recovery.refused',
      hint: 'start the old server and end it with COMMIT PREPARED or ROLLBACK PREPARED; nothing was changed',
    },
  },
  {
    id: 'no-way-to-upgrade-here',
    when: ({ method, hasOldPrograms, to }) => method === null && hasOldPrograms && to !== null,
    words: 'neither pg_upgrade with the programs of both majors nor pg_dump is here',
    refusal: {
      code: 'program.missing',
      hint: 'install the whole packages of both majors (Debian: postgresql-{from} and postgresql-{to}); nothing was changed',
    },
  },
  {
    id: 'pg-upgrade-not-usable',
    when: ({ method, canFiles }) => method === 'pg_upgrade' && !canFiles,
    words: 'pg_upgrade, or one of the programs that it needs of both majors, is missing',
    refusal: { code: 'program.missing', hint: 'leave --method out, or install the whole packages of both majors; nothing was changed' },
  },
  {
    id: 'dump-not-usable',
    when: ({ method, canDump }) => method === 'dump' && !canDump,
    words: 'pg_dump and pg_restore of {from} or newer are not here',
    refusal: { code: 'program.missing', hint: 'install them (Debian: apt-get install postgresql-client-{from}); nothing was changed' },
  },
  {
    id: 'path-not-for-a-shell',
    when: ({ method, pathIsPlain }) => method === 'pg_upgrade' && !pathIsPlain,
    words: 'pg_upgrade hands {dataDir} to a shell, and it holds characters that a shell reads',
    refusal: { code: 'recovery.refused', hint: 'use --method dump; nothing was changed' },
  },
  {
    id: 'upgrade-needs-room',
    when: ({ neededBytes, freeBytes }) => neededBytes > freeBytes,
    words: 'the new cluster needs {needed} beside the data, and there are {free}',
    refusal: { code: 'volume.full', hint: 'free some space on the volume of the data; nothing was changed' },
  },
  {
    id: 'database-closed-to-upgrade',
    when: ({ closed }) => some(closed),
    words: 'these databases accept no connections: {closedNames}',
    refusal: {
      code: 'recovery.refused',
      hint: 'open them with ALTER DATABASE … WITH ALLOW_CONNECTIONS true, or drop them; nothing was changed',
    },
  },
  {
    id: 'database-half-dropped',
    when: ({ invalid }) => some(invalid),
    words: 'a DROP DATABASE of these was cut off: {invalidNames}',
    refusal: { code: 'recovery.refused', hint: 'start the old server and drop them; nothing was changed' },
  },
  {
    id: 'template1-holds-objects',
    when: (facts) => byDump(facts) && (facts.template1Objects ?? 0) > 0,
    words: 'template1 holds {template1Objects} objects, and a dump leaves templates of PostgreSQL’s own out',
    refusal: { code: 'recovery.refused', hint: 'use pg_upgrade, or drop them from template1; nothing was changed' },
  },
  {
    id: 'extension-not-installed',
    when: ({ unavailableExtensions }) => some(unavailableExtensions),
    words: 'these extensions are not installed for PostgreSQL {to}: {extensionNames}',
    refusal: { code: 'program.missing', hint: 'install their packages for PostgreSQL {to}; nothing was changed' },
  },
] as const satisfies readonly ObstacleRow[];
export type ObstacleId = (typeof obstacleRows)[number]['id'];

/** Pure. All that stands in the way, in the order in which a person would mend it. */
export function obstaclesTo(facts: UpgradeFacts): readonly Obstacle[] {
  const names = (list: readonly string[] | undefined): string => (list ?? []).join(', ');
  const shown = {
    ...facts,
    needed: bytes(facts.neededBytes),
    free: bytes(facts.freeBytes),
    closedNames: names(facts.closed),
    invalidNames: names(facts.invalid),
    extensionNames: names(facts.unavailableExtensions),
  };
  return (obstacleRows as readonly (ObstacleRow & { readonly id: ObstacleId })[])
    .filter(({ when }) => when(facts))
    .map(({ id, words, refusal }) => ({ reason: id, because: fill(words, shown), next: fill(refusal.hint, shown) }));
}
