import type { Finding, FindingCode } from '../inspection/findings.ts';

/**
 * The proof that makes a finding evidence that the data must be replaced. 'never': it says nothing about the data's bytes. 'files': the files,
 * read again with the server stopped, must show it. 'words': PostgreSQL's own words count too, as dbkit cannot read all that PostgreSQL can.
 */
export type Proof = 'never' | 'files' | 'words';

/** A new code has no place here until somebody has thought about it. */
export const proofs = {
  'server.running': 'never',
  'pid.stale': 'never',
  'data.empty': 'never',
  'data.foreign': 'never',
  'data.unfinished': 'never',
  'version.mismatch': 'never',
  'owner.wrong': 'never',
  'mode.wrong': 'never',
  'shutdown.unclean': 'never',
  'times.differ': 'never',
  'inventory.missing': 'never',
  'volume.full': 'never',
  'volume.read-only': 'never',
  'file.unreadable': 'never',
  'data.emptied': 'never',
  'data.unmounted': 'never',
  'entry.foreign': 'never',
  'entry.no-file': 'never',
  'upgrade.old-half': 'never',
  'conf.elsewhere': 'never',
  'server.settings': 'never',
  'directory.missing': 'never',
  'conf.missing': 'never',
  'conf.broken': 'never',
  'version-file.broken': 'files',
  'catalog-index.damaged': 'words',
  'index.damaged': 'words',
  'cache.damaged': 'never',
  'control.outdated': 'files',
  'control.contradicted': 'files',
  'control.damaged': 'words',
  'filenode-map.damaged': 'words',
  'slru.damaged': 'words',
  'wal.missing': 'words',
  'wal.damaged': 'words',
  'wal.gap': 'files',
  'wal.short': 'files',
  'wal.unmarked': 'never',
  'wal-directory.missing': 'files',
  'wal-link.dangling': 'never',
  'prepared.damaged': 'files',
  'signal.stray': 'never',
  'backup-label.stray': 'never',
  'tablespace.dangling': 'never',
  'tablespace.unlinked': 'never',
  'tablespace.junk': 'never',
  'database.file': 'never',
  'replication-slot.damaged': 'never',
  'replication-origin.damaged': 'never',
  'catalog.missing': 'words',
  'empty-file.missing': 'never',
  'relation.folder': 'never',
  'init-fork.folder': 'never',
  'relation.missing': 'files',
  'relation.truncated': 'words',
  'relation.changed': 'files',
  'page.damaged': 'words',
  'page.lost': 'files',
  'page.unknown': 'never',
  'relation.touched': 'never',
  'database.missing': 'files',
  'directory.lost': 'files',
} as const satisfies Record<FindingCode, Proof>;

/** The content of the files when they are read again with the server stopped. */
export type Shown = (finding: Finding) => boolean;

/** The findings among these that are positive evidence. Silence, refusals, time-outs and dbkit's own troubles never are. Pure. */
export const evidenceAmong = (findings: readonly Finding[], shown: Shown): readonly Finding[] =>
  findings.filter((finding) => {
    const proof: Proof = proofs[finding.code];
    if (proof === 'never' || finding.severity === 'info') return false;
    return shown(finding) || (proof === 'words' && finding.postgresSays !== undefined);
  });
