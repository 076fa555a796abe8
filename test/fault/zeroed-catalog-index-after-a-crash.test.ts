import { ask } from '../harness/ask.ts';
import { zeroPage } from '../harness/breaking.ts';
import { disaster } from './disaster.ts';

/** No file is missing, and recovery does not write the page anew: only sessions say so, and they name the index, not its file. */
const zeroed = {
  section: 'B',
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'crashed',
  startsFirst: true,
  prepare: async (instance) => void (await ask(instance, 'app', 'CHECKPOINT')),
  expect: { finding: 'catalog-index.damaged', quarantine: 'none' },
} as const satisfies Partial<Parameters<typeof disaster>[0]>;

disaster({
  ...zeroed,
  name: 'the root page of the index of role names is zero after a crash (global/2676)',
  detectedBefore: false,
  break: (instance) => zeroPage(instance, 'global/2676', 1),
  postgresSays: /index "pg_authid_rolname_index" contains unexpected zero page at block 1/,
});

disaster({
  ...zeroed,
  name: 'the root page of an index that no map names is zero after a crash (pg_opclass_oid_index)',
  detectedBefore: false,
  break: (instance) => zeroPage(instance, `${instance.places.app}/2687`, 1),
  postgresSays: /index "pg_opclass_oid_index" contains unexpected zero page at block 1/,
});
