#!/usr/bin/env node
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`dbkit: Node ${process.versions.node} is too old\nHINT: install Node 20.19 or newer\n`);
  process.exit(1);
}
process.on('uncaughtException', (cause) => {
  process.stderr.write(`dbkit: ${cause?.stack ?? cause}\nHINT: this is a bug in dbkit: please report it with the lines above\n`);
  process.exit(70);
});
const { main } = await import('../dist/main.js').catch((cause) => {
  if (cause.code !== 'ERR_MODULE_NOT_FOUND') throw cause;
  process.stderr.write('dbkit: it has not been built\nHINT: run `npm install && npm run build` in its folder\n');
  process.exit(1);
});
process.exitCode = await main(process.argv.slice(2));
// A command that ignores its SIGTERM would keep Node waiting for ever; everything else has ended by itself long before this.
setTimeout(() => process.exit(), 1_000).unref();
