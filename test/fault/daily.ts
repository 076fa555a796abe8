/**
 * The disasters of `npm test`: one of each kind. `npm run test:fault` runs every class. A class stands
 * here when nothing else in the daily tests would see its promise broken.
 */
export const daily = [
  'table', // docs/FAULTS.md
  // A crash, or something of the machine, is not corruption.
  'killed-server',
  'live-server-without-dbkit',
  'second-server-on-the-same-volume',
  'clients-storm-a-start',
  'volume-full-before-start',
  'locale-that-is-gone',
  'port-in-use',
  'member-of-patroni',
  // One right answer.
  'missing-global-2671',
  'missing-pg-xact',
  'truncated-pg-control',
  'not-a-plain-tree',
  // Other bytes are needed.
  'machine-died-with-its-data',
  'overwritten-page-of-a-user-table',
  'unchanged-table-and-a-backup',
  'pg-control-of-another-cluster',
  'wal-gap',
  'random-harm',
  // Nothing to restore from.
  'emptied-data-directory',
  'replacing-is-not-allowed',
  // kill -9 in the middle.
  'killed-at-every-step',
  'killed-during-a-restore',
] as const;
