// The benchmarks one after the other. `--quick`: fewer rounds and less data, in about five minutes; the ratios say the same, the spread is wider.
// Usage: node bench/run.mjs [--quick]
import { spawnSync } from 'node:child_process';

const isQuick = process.argv.includes('--quick');
const runs = isQuick
  ? [
      ['startup.mjs', '5'],
      ['boot.mjs', '3', '', 'existing,fresh,idle'],
      ['backup.mjs', '10', '1', '', 'full,again,verify'],
      ['copies.mjs', '3', '1'],
      ['replay.mjs', '6', '1'],
      ['proof.mjs', '3', '1'],
    ]
  : [
      ['startup.mjs'],
      ['boot.mjs'],
      ['health.mjs'],
      ['backup.mjs'],
      ['copies.mjs'],
      ['replay.mjs', '200', '1'],
      ['proof.mjs'],
      ['growth.mjs'],
    ];
for (const [script, ...args] of runs) {
  console.log(`\n== ${[script, ...args.filter(Boolean)].join(' ')}`);
  const { status } = spawnSync(process.execPath, [new URL(script, import.meta.url).pathname, ...args], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
