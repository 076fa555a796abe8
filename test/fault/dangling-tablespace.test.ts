import { disaster } from './disaster.ts';
import { loseTablespace, makeTablespace } from './tablespace.ts';

disaster({
  name: 'the disk of an empty tablespace is not mounted',
  section: 'B',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'none',
  left: 'clean',
  prepare: makeTablespace,
  break: loseTablespace,
  postgresSays: /could not open directory "pg_tblspc|ready to accept/,
  expect: { finding: 'tablespace.dangling', lost: /pg_tblspc/, remains: ['tablespace.dangling'] },
});
