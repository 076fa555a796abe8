import type { Row } from '../kernel/reasons.ts';

export type UpgradeMethod = 'pg_upgrade' | 'dump';

/** The programs that each way needs, as far as they are here. */
export interface MethodFacts {
  readonly wanted: UpgradeMethod | undefined;
  /** pg_upgrade and all that it calls, of both majors. */
  readonly pgUpgrade: boolean;
  /** pg_upgrade hands paths to a shell. */
  readonly pathIsPlain: boolean;
  /** A server of the old major, and pg_dump and pg_restore of at least that major. */
  readonly dump: boolean;
}

/** First match wins. */
export const methodRows = [
  { id: 'dump-asked-for', when: ({ wanted }) => wanted === 'dump', then: 'dump', words: 'a dump and restore was asked for' },
  {
    id: 'files-asked-for',
    when: ({ wanted }) => wanted === 'pg_upgrade',
    then: 'pg_upgrade',
    words: 'pg_upgrade was asked for',
  },
  {
    id: 'files-can-be-taken-over',
    when: ({ pgUpgrade, pathIsPlain }) => pgUpgrade && pathIsPlain,
    then: 'pg_upgrade',
    words: 'pg_upgrade and the programs of both majors are here',
  },
  {
    id: 'no-whole-set-of-programs',
    when: ({ dump }) => dump,
    then: 'dump',
    words: 'pg_upgrade, or one of the programs that it needs, is missing: the data is dumped and restored',
  },
  { id: 'no-way-to-upgrade', when: () => true, then: null, words: 'neither pg_upgrade nor pg_dump with the old server can be used here' },
] as const satisfies readonly Row<MethodFacts, UpgradeMethod | null>[];
export type MethodId = (typeof methodRows)[number]['id'];

/** Programs that pg_upgrade calls (pg_upgrade/exec.c, check_bin_dir). */
export const oldPrograms = ['postgres', 'pg_ctl', 'pg_controldata', 'pg_resetwal'] as const;
export const newPrograms = [
  'pg_upgrade',
  'postgres',
  'pg_ctl',
  'pg_controldata',
  'pg_resetwal',
  'initdb',
  'pg_dump',
  'pg_dumpall',
  'pg_restore',
  'psql',
  'vacuumdb',
] as const;

/** Nothing that a shell, a double quote or pg_ctl's option string would read. */
export const isPlainPath = (path: string): boolean => /^[A-Za-z0-9_./+@,=-]+$/.test(path);
