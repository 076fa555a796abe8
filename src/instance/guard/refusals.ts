import { DbkitError } from '../../kernel/errors.ts';
import { decide, fill, type Refusal } from '../../kernel/reasons.ts';

/** PGDATA before anything is written to it. */
export interface DirectoryFacts {
  /** 'nothing': it is not there yet. */
  readonly kind: 'directory' | 'nothing' | 'other';
  /** Names in it, without what no cluster counts (lost+found). */
  readonly entries: readonly string[];
  /** An earlier run was stopped half-way through a replacement. */
  readonly isBeingReplaced: boolean;
}

/** The volume of PGDATA. */
export interface VolumeFacts {
  readonly freeBytes: number;
  /** Undefined where the file system does not count files. */
  readonly freeFiles: number | undefined;
}

interface Row<Facts> {
  readonly id: string;
  readonly when: (facts: Facts) => boolean;
  readonly then: 'go on' | 'refuse';
  readonly words: string;
  readonly refusal?: Refusal;
}

/** Less cannot even hold the lock files and a few pages; more is PostgreSQL's to judge. */
const FREE_BYTES_MIN = 4 * 1024 * 1024;
const FREE_FILES_MIN = 16;
const ofACluster = ['PG_VERSION', 'global', 'base', 'pg_xact', 'pg_wal', 'dbkit.initializing'];
const NAMES_SHOWN = 3;

const aboutDirectory = [
  {
    id: 'not-a-directory',
    when: ({ kind }) => kind === 'other',
    then: 'refuse',
    words: '{dataDir} is not a directory',
    refusal: { code: 'data.foreign', hint: 'set PGDATA to a directory; nothing was changed' },
  },
  {
    id: 'being-replaced',
    when: ({ isBeingReplaced }) => isBeingReplaced,
    then: 'go on',
    words: 'an earlier replacement is finished first',
  },
  {
    id: 'member-of-patroni',
    when: ({ entries }) => entries.includes('patroni.dynamic.json'),
    then: 'refuse',
    words: '{dataDir} is a member of a Patroni cluster: Patroni starts, stops and rebuilds its server',
    refusal: {
      code: 'data.foreign',
      hint: '`dbkit ha status` shows the cluster; if this server has left it for good, remove patroni.dynamic.json there; nothing was changed',
    },
  },
  { id: 'empty-directory', when: ({ entries }) => entries.length === 0, then: 'go on', words: 'nothing is in it' },
  {
    id: 'a-cluster',
    when: ({ entries }) => entries.some((name) => ofACluster.includes(name)),
    then: 'go on',
    words: 'it holds a cluster, or what is left of one',
  },
  {
    id: 'files-of-somebody-else',
    when: () => true,
    then: 'refuse',
    words: "{dataDir} holds {count} entries that are not PostgreSQL's ({names})",
    refusal: {
      code: 'data.foreign',
      hint: 'set PGDATA to the directory that holds the database, or mount its volume there; nothing was changed',
    },
  },
] as const satisfies readonly Row<DirectoryFacts>[];

const aboutVolume = [
  {
    id: 'no-space-left',
    when: ({ freeBytes }) => freeBytes < FREE_BYTES_MIN,
    then: 'refuse',
    words: 'the volume of {dataDir} is full ({freeKib} KiB free)',
    refusal: {
      code: 'volume.full',
      hint: 'free some space there, never in pg_wal, or make the volume larger; `dbkit recover` removes old logs and expired backups first',
    },
  },
  {
    id: 'no-inodes-left',
    when: ({ freeFiles }) => freeFiles !== undefined && freeFiles < FREE_FILES_MIN,
    then: 'refuse',
    words: 'the volume of {dataDir} has no inodes left',
    refusal: { code: 'volume.full', hint: 'remove some small files there; never anything in PGDATA' },
  },
  { id: 'has-space', when: () => true, then: 'go on', words: 'it takes writes' },
] as const satisfies readonly Row<VolumeFacts>[];

export type DirectoryRule = (typeof aboutDirectory)[number]['id'];
export type VolumeRule = (typeof aboutVolume)[number]['id'];
export const directoryRules: readonly (Row<DirectoryFacts> & { readonly id: DirectoryRule })[] = aboutDirectory;
export const volumeRules: readonly (Row<VolumeFacts> & { readonly id: VolumeRule })[] = aboutVolume;

/** Throws the refusal of the row that matches, if it is one. Pure. */
export function judgeDirectory(dataDir: string, facts: DirectoryFacts): void {
  const { entries } = facts;
  const names = `${entries.slice(0, NAMES_SHOWN).join(', ')}${entries.length > NAMES_SHOWN ? ', …' : ''}`;
  refuse(decide(directoryRules, facts), { dataDir, count: entries.length, names });
}

export const judgeVolume = (dataDir: string, facts: VolumeFacts): void =>
  refuse(decide(volumeRules, facts), { dataDir, freeKib: Math.floor(facts.freeBytes / 1024) });

function refuse({ refusal, words }: Pick<Row<never>, 'refusal' | 'words'>, figures: Readonly<Record<string, unknown>>): void {
  if (refusal) throw new DbkitError(refusal.code, fill(words, figures), { hint: refusal.hint });
}
