#!/usr/bin/env node
import { writeSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`dbkit: Node ${process.versions.node} is too old\nHINT: install Node 20.19 or newer\n`);
  process.exit(1);
}
/** What the machine is short of before anything of dbkit's is loaded (errno(3)); everything later is told by src/kernel/errors.ts. */
const shortages = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'ENOBUFS']);
process.on('uncaughtException', (cause) => {
  const isShort = shortages.has(cause?.code);
  const words = isShort
    ? `dbkit: ${cause.message}\nHINT: raise the limit (\`ulimit -n\`, the memory of the container) or end other programs, and try again\n`
    : `dbkit: ${cause?.stack ?? cause}\nHINT: this is a bug in dbkit: please report it with the lines above\n`;
  try {
    writeSync(2, words);
  } catch {
    // There is nowhere to say it.
  }
  process.exit(isShort ? 69 : 70);
});
const { isBuilt, openProgram } = await import('./program.js');
if (!isBuilt()) {
  process.stderr.write('dbkit: it has not been built\nHINT: run `npm install && npm run build` in its folder\n');
  process.exit(1);
}
process.exitCode = await openProgram().main(process.argv.slice(2));
// A command that ignores its SIGTERM would keep Node waiting for ever; everything else has ended by itself long before this.
setTimeout(() => process.exit(), 1_000).unref();
