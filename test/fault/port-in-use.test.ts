import type { Server } from 'node:net';
import { listenOn } from '../harness/ports.ts';
import { disaster } from './disaster.ts';

let holder: Server;

disaster({
  name: 'another program listens on the port',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'clean',
  break: async ({ port, beforeRemoval }) => {
    holder = await listenOn(port);
    beforeRemoval(async () => void holder.close());
  },
  expect: { exit: 75, message: /port \d+ is in use/ },
  mend: async () => void holder.close(),
});
