/**
 * The numbered steps between which a kill must leave a state that the next boot understands. Tests stop dbkit at each of them
 * (DBKIT_FAIL_AT), so a new step is tested by being listed here.
 */
export const steps = [
  'initialize.marked',
  'initialize.staged',
  'initialize.scripts-run',
  'initialize.published',
  'initialize.started',
  'initialize.ensured',
  'replace.journaled',
  'replace.entry-set-aside',
  'replace.set-aside',
  'replace.entry-published',
  'replace.published',
  'repair.begun',
  'repair.set-aside',
  'repair.brought-back',
  'repair.done',
  'backup.files-copied',
  'backup.stopped',
  'backup.synced',
  'backup.record-staged',
  'backup.directory-published',
  'backup.published',
  'expire.unlisted',
  'expire.set-aside',
  'quarantine.unlisted',
  'restore.files-copied',
  'restore.staged',
  'dump.database-dumped',
  'dump.sealed',
  'dump.loaded',
  'dump.checked',
  'dump.swapping',
  'snapshot.copied',
  'snapshot.publishing',
  'server.voided-inventory',
  'server.spawned',
  'server.stopped',
] as const;

export type Step = (typeof steps)[number];
