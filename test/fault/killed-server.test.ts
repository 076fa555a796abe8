import { disaster } from './disaster.ts';

disaster({
  name: 'the power went: dbkit and the server were killed',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  break: async () => undefined,
  postgresSays: /database system was interrupted/,
  expect: { finding: 'shutdown.unclean' },
});
