// How much `dbkit --version` costs over bare Node. Aim: at most 1.5 times `node -e 0`.
import { spawnSync } from 'node:child_process';
import { inTurn, printTable, timed } from './measure.mjs';

const node = (...args) => timed(async () => spawnSync(process.execPath, args, { stdio: 'ignore' }));
const rounds = Number(process.argv[2] ?? 20);
printTable(
  `start-up, ${rounds} rounds in turn`,
  await inTurn(
    [
      { name: 'node -e 0', run: () => node('-e', '0') },
      { name: 'dbkit --version', run: () => node('bin/dbkit.js', '--version') },
      { name: 'dbkit --help', run: () => node('bin/dbkit.js', '--help') },
    ],
    rounds,
  ),
);
