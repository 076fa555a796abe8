import type { Finding, FindingCode } from '../inspection/findings.ts';
import type { Refusal } from '../kernel/reasons.ts';

/** Ways to mend one finding in place, each with exactly one right result. The names are a contract (`recover --json`). */
export type Mend =
  | 'make-directory'
  | 'make-empty-file'
  | 'set-aside-unlogged'
  | 'mend-permissions'
  | 'restore-configuration'
  | 'rewrite-version-file'
  | 'set-aside-file'
  | 'set-aside-slot'
  | 'bring-back-kept-file'
  | 'bring-back-from-backup'
  | 'relink-tablespace'
  | 'rebuild-catalog-index'
  | 'rebuild-prepared-transaction'
  | 'replay-from-older-control'
  | 'replay-from-kept-files'
  | 'keep-wal-aside'
  | 'bring-wal-from-archive'
  | 'reset-wal';

/** The answer to one finding. 'serve': the server can run, what is damaged stays damaged for now. 'replace': only other bytes help. */
export type Answer = Remedy['then'];

/** One finding in its circumstances. */
export interface Case {
  readonly finding: Finding;
  /** pg_control says `shut down`: all data is in the files, no WAL is owed. */
  readonly cleanShutdown: boolean;
  /** dbkit kept a copy at the last clean shutdown and the inventory proves that the server has not run since. */
  readonly keptIsCurrent: boolean;
  /** Copies of the last clean shutdown were kept, and all WAL since then is here, whole. */
  readonly replaysFromKept: boolean;
  /** The newest backup holds the very bytes of the last clean shutdown, proven by inventory, manifest and digest; no server has run since. */
  readonly backupIsCurrent: boolean;
  /** After a crash: the archive has WAL that takes recovery further than pg_wal does. */
  readonly archiveLeadsOn: boolean;
  /** dbkit may change owners (root), or the files are its own. */
  readonly mayMendOwner: boolean;
  /** The answer below was already tried in this boot, and the finding is still there. */
  readonly tried: boolean;
  /** The running server said it, not the inspection before the start. */
  readonly reported: boolean;
  /** The server runs, and every database has answered from its catalogs. */
  readonly answering: boolean;
}

/** One way to act on findings. `loses`: what is gone when it is done, until something else brings it back. */
export type Remedy = {
  readonly id: string;
  /** Which findings it is for; 'any' is for what nothing above has answered. */
  readonly findings: readonly FindingCode[] | 'any';
  readonly when: (c: Case) => boolean;
  readonly words: string;
} & (
  | { readonly then: 'start'; readonly loses: 'nothing' }
  | { readonly then: 'serve'; readonly loses: 'nothing' | 'object' }
  | {
      readonly then: 'repair';
      readonly loses: 'nothing' | 'slot' | 'origins' | 'wal-behind-a-gap' | 'wal-behind-the-archive' | 'prepared-transaction';
      readonly mend: Mend;
    }
  | { readonly then: 'replace'; readonly loses: 'what-no-backup-holds' }
  | { readonly then: 'refuse'; readonly loses: 'nothing'; readonly refusal: Refusal }
);

export const always = (): boolean => true;
export const clean = (c: Case): boolean => c.cleanShutdown;
export const suspect = ({ finding }: Case): boolean => finding.severity !== 'certain';
/** Crash recovery, and the server's own judgement, are still to come. */
export const unheard = (c: Case): boolean => !c.reported && !c.tried;
export const isShared = ({ finding }: Case): boolean => finding.path.startsWith('global/');
/** Damage that stays within one database: the server and every other database run. */
export const inOneDatabase = ({ finding }: Case): boolean => /^base\/\d+(\/|$)/.test(finding.path);

/** Something in the place of a file, at which recovery ends or for which it removes a table. */
export const isInTheWay = ({ finding: { code } }: Case): boolean =>
  code === 'relation.folder' || code === 'init-fork.folder' || code === 'database.file';

/** Findings that stop the server, or every session, until they are mended. */
export const cannotRunWithout = [
  'version-file.broken',
  'catalog-index.damaged',
  'control.damaged',
  'filenode-map.damaged',
  'slru.damaged',
  'wal.missing',
  'wal.damaged',
  'wal-directory.missing',
  'catalog.missing',
  'directory.lost',
] as const satisfies readonly FindingCode[];

/** Damage that one file, or a directory of files, can make good again. */
export const wholeFiles = [
  'relation.missing',
  'relation.truncated',
  'relation.changed',
  'catalog.missing',
  'catalog-index.damaged',
  'index.damaged',
  'database.missing',
  'directory.lost',
  'filenode-map.damaged',
  'slru.damaged',
  'prepared.damaged',
  'wal.missing',
  'wal.damaged',
  'wal.gap',
] as const satisfies readonly FindingCode[];

/** The fields that most rows of the tables of remedies have in common. */
export const served = { then: 'serve', loses: 'object' } as const;
export const starts = { then: 'start', loses: 'nothing' } as const;
export const refuses = { then: 'refuse', loses: 'nothing' } as const;
export const repairs = { then: 'repair', loses: 'nothing' } as const;
export const replaces = { then: 'replace', loses: 'what-no-backup-holds' } as const;
