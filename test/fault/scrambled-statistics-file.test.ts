import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { scramble } from '../harness/breaking.ts';
import type { Instance } from '../harness/instance.ts';
import { disaster } from './disaster.ts';

const names = ['pg_stat/pgstat.stat', 'pg_stat/global.stat']; // Since PostgreSQL 15, and before.
const statistics = ({ dataDir }: Instance): string => names.find((name) => existsSync(join(dataDir, name)))!;

disaster({
  name: 'the statistics file holds garbage',
  section: 'B',
  detectedBefore: false,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => scramble(instance, statistics(instance)),
  postgresSays: /corrupted statistics file/,
  expect: {},
});
