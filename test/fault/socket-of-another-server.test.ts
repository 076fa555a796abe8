import { join } from 'node:path';
import { type BareServer, startBare } from '../harness/bare-server.ts';
import { copyTree } from '../harness/files.ts';
import { templateOf } from '../harness/template.ts';
import { disaster } from './disaster.ts';

let other: BareServer;

disaster({
  name: 'another server uses the socket of this port',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'clean',
  break: async ({ programs, root, port, socketDir }) => {
    const dataDir = join(root, 'other');
    await copyTree((await templateOf(programs)).dataDir, dataDir);
    other = await startBare(programs, dataDir, { port, socketDir });
  },
  expect: { exit: 75, message: /socket/ },
  mend: () => other.stop(),
});
