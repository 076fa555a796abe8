import type { Finding } from '../inspection/findings.ts';

/** Ways to mend one finding in place, each with exactly one right answer. The names are a contract (`recover --json`). */
export type Repair =
  | 'make-directory'
  | 'make-empty-file'
  | 'mend-permissions'
  | 'restore-configuration'
  | 'rewrite-version-file'
  | 'set-aside-file'
  | 'set-aside-slot'
  | 'bring-back-kept-file'
  | 'bring-back-from-backup'
  | 'rebuild-catalog-index'
  | 'reset-wal';

/** What one finding asks for. 'serve': the server can run, what is lost is lost for now. 'replace': only other bytes help. */
export type Answer = 'start' | 'serve' | 'refuse' | 'replace' | Repair;

/** One finding in its circumstances. */
export interface Case {
  readonly finding: Finding;
  /** pg_control says `shut down`: all data is in the files, no WAL is owed. */
  readonly cleanShutdown: boolean;
  /** dbkit kept a copy at the last clean shutdown and the inventory proves that the server has not run since. */
  readonly keptIsCurrent: boolean;
  /** The newest backup holds the very bytes of the last clean shutdown, proven by inventory, manifest and digest; no server has run since. */
  readonly backupIsCurrent: boolean;
  /** dbkit may change owners (root), or the files are its own. */
  readonly mayMendOwner: boolean;
  /** The answer below was already tried in this boot, and the finding is still there. */
  readonly tried: boolean;
  /** The running server said it, not the inspection before the start. */
  readonly reported: boolean;
  /** The server runs, and every database has answered from its catalogs. */
  readonly answering: boolean;
}

type AnswerRow = readonly [when: (c: Case) => boolean, answer: Answer, because: string];
const is =
  (...codes: Finding['code'][]) =>
  ({ finding }: Case): boolean =>
    codes.includes(finding.code);
const both =
  (...conditions: ((c: Case) => boolean)[]) =>
  (c: Case): boolean =>
    conditions.every((holds) => holds(c));
const clean = (c: Case): boolean => c.cleanShutdown;
const backedUp = (c: Case): boolean => c.backupIsCurrent;
const kept = (c: Case): boolean => c.keptIsCurrent;
/** Findings that stop the server, or every session, until they are mended. */
const cannotRunWithout = is(
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
);
/** What one file, or a directory of files, can make good again. */
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
] as const satisfies readonly Finding['code'][];
const isShared = ({ finding }: Case): boolean => finding.path.startsWith('global/');
/** Damage that stays within one database: the server and every other database run. */
const inOneDatabase = ({ finding }: Case): boolean => /^base\/\d+(\/|$)/.test(finding.path);
const suspect = (c: Case): boolean => c.finding.severity !== 'certain';

/** First match wins. Top to bottom: what is not corruption, what has one right answer, what the server can live without, the rest. */
export const answers: readonly AnswerRow[] = [
  [is('server.running'), 'refuse', 'another server uses these files'],
  [is('data.foreign'), 'refuse', 'the directory is not PostgreSQL’s to use'],
  [is('version.mismatch'), 'refuse', 'the data is sound, but these programs are of another major version'],
  [is('volume.full', 'volume.read-only'), 'refuse', 'the volume must take writes first; nothing is wrong with the data'],
  [is('server.settings'), 'refuse', 'a setting must be changed; nothing is wrong with the data'],
  [is('file.unreadable'), 'refuse', 'a disk that does not answer is not lost data: look at the disk first'],
  [both(is('owner.wrong', 'mode.wrong'), (c) => c.mayMendOwner), 'mend-permissions', 'owner and mode have one right value'],
  [is('owner.wrong', 'mode.wrong'), 'refuse', 'only root may change the owner; nothing is wrong with the data'],
  [
    is('data.empty', 'data.unfinished', 'pid.stale', 'shutdown.unclean'),
    'start',
    'a crash is not corruption: PostgreSQL replays its own WAL',
  ],
  [is('times.differ'), 'start', 'a copy keeps the bytes and not always the times'],
  [
    both(is('catalog.missing'), isShared, (c) => c.answering),
    'serve',
    'every database answers without it, and every row of theirs is there',
  ],
  [both(is('conf.missing', 'conf.broken'), (c) => c.tried), 'refuse', 'a setting must be changed; nothing is wrong with the data'],
  [(c) => c.tried && cannotRunWithout(c) && !inOneDatabase(c), 'replace', 'the repair was tried, and PostgreSQL still cannot run'],
  [both(inOneDatabase, (c) => c.tried), 'serve', 'the repair was tried; one database cannot be used, every other one runs'],
  [is('empty-file.missing'), 'make-empty-file', 'it was empty at the last clean shutdown'],
  [is('directory.missing'), 'make-directory', 'the directory is empty by nature'],
  [is('conf.missing', 'conf.broken'), 'restore-configuration', 'the last good copy, else the sample, is right'],
  [is('version-file.broken'), 'rewrite-version-file', 'pg_control knows the version'],
  [is('cache.damaged'), 'set-aside-file', 'PostgreSQL rebuilds it'],
  [is('signal.stray'), 'set-aside-file', 'no restore of dbkit put it there and the control file contradicts it'],
  [both(is('backup-label.stray'), clean), 'set-aside-file', 'the server was shut down cleanly, so this is no copy of a running one'],
  [
    is('backup-label.stray'),
    'refuse',
    'a copy of a running server is useless without its WAL, and with the label removed it would be corrupt',
  ],
  [is('wal-link.dangling'), 'refuse', 'the WAL is elsewhere, not gone: mount it'],
  [
    both(is(...wholeFiles), backedUp, (c) => !c.tried),
    'bring-back-from-backup',
    'the newest backup holds the very bytes of the last clean shutdown',
  ],
  [is('replication-slot.damaged'), 'set-aside-slot', 'a slot holds no rows; its consumer must be set up again'],
  [
    both(is('catalog-index.damaged'), suspect, (c) => !c.reported && !c.tried),
    'start',
    'crash recovery brings back what had not been flushed',
  ],
  [is('catalog-index.damaged'), 'rebuild-catalog-index', 'an index holds nothing that its table does not'],
  [
    both(is('control.damaged', 'filenode-map.damaged', 'slru.damaged', 'directory.lost'), kept),
    'bring-back-kept-file',
    'the copy kept at the last clean shutdown is proven current',
  ],
  [
    both(is('wal.missing', 'wal.damaged'), suspect, (c) => !c.reported && !c.tried),
    'start',
    'the server follows another one, which may have the WAL',
  ],
  [
    both(is('wal.missing', 'wal.damaged', 'wal-directory.missing'), clean),
    'reset-wal',
    'after a clean shutdown all data is in the files and no WAL is owed',
  ],
  [
    both(is('slru.damaged'), suspect, clean, (c) => !c.reported && !c.tried),
    'serve',
    'the server runs, and says aloud which rows it cannot judge',
  ],
  [
    both(
      (c) => !c.tried && !c.reported,
      is('slru.damaged', 'catalog.missing', 'database.missing', 'relation.missing', 'relation.truncated', 'relation.changed'),
      suspect,
    ),
    'start',
    'crash recovery may still mend it',
  ],
  [
    both(inOneDatabase, is('catalog.missing', 'filenode-map.damaged')),
    'serve',
    'one database cannot be used; the server and every other database run',
  ],
  [both(is('relation.missing'), (c) => !c.reported), 'start', 'the server knows whether it was a table or an index, which can be rebuilt'],
  [
    both(is('page.damaged', 'relation.truncated', 'relation.missing'), (c) => c.reported && isShared(c)),
    'replace',
    'no session can begin without the shared catalogs',
  ],
  [both(is('catalog.missing'), (c) => !c.reported && !c.tried), 'start', 'the server itself knows whether it can run without it'],
  [
    both(is('tablespace.dangling'), (c) => !c.cleanShutdown && !c.reported),
    'refuse',
    'the WAL of a crashed server would be replayed into nowhere',
  ],
  [is('tablespace.dangling'), 'serve', 'the rest is sound; mount the tablespace again'],
  [
    is('index.damaged', 'relation.missing', 'relation.truncated', 'relation.changed', 'page.damaged', 'database.missing'),
    'serve',
    'the server can run and every other row is there',
  ],
  [() => true, 'replace', 'the server cannot run without it, and nothing here can rebuild it'],
];

/** What to do about one finding, with the reason. */
export function answerFor(c: Case): { readonly answer: Answer; readonly because: string } {
  const [, answer, because] = answers.find(([when]) => when(c))!; // The last row always matches.
  return { answer, because };
}
