#!/usr/bin/env node
'use strict'; // CommonJS (package.json beside it): Node loads its loader of modules for others, and a start is ten milliseconds shorter.
const { writeSync } = require('node:fs');

/**
 * restore_command: PostgreSQL takes every status up to 125 for the end of the archive, and may promote (xlogarchive.c, RestoreArchivedFile). A word
 * that was mistyped in it is none.
 */
const wal = process.argv.indexOf('wal');
const isFetch = wal > 1 && process.argv[wal + 1] === 'fetch' && !process.argv.slice(2, wal).some((word) => /^(--|entrypoint)$/.test(word));
const told = (status) => (isFetch && status > 1 && status < 126 ? 126 : status);
let isOver = false;

/** The last words, and the end with `status`, which for restore_command is one that stops the recovery. */
function fail(words, status) {
  isOver = true;
  try {
    writeSync(2, `dbkit: ${words}\n`);
  } catch {
    // There is nowhere to say it.
  }
  process.exit(isFetch ? 126 : status); // Not even 1: nobody has looked.
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) fail(`Node ${process.versions.node} is too old\nHINT: install Node 20.19 or newer`, 1);

/** What the machine is short of before anything of dbkit's is loaded (errno(3)); everything later is told by src/kernel/errors.ts. */
const shortages = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'ENOBUFS']);
function crash(cause) {
  if (shortages.has(cause?.code))
    fail(`${cause.message}\nHINT: raise the limit (\`ulimit -n\`, the memory of the container) or end other programs, and try again`, 69);
  fail(`${cause?.stack ?? cause}\nHINT: this is a bug in dbkit: please report it with the lines above`, 70);
}
process.on('uncaughtException', crash);
process.on('exit', () => {
  if (isOver) return;
  fail('it waits for something that cannot happen any more\nHINT: this is a bug in dbkit: please report it with what you typed', 70);
});
const { isBuilt, openProgram } = require('./program.js');
if (!isBuilt()) fail('it has not been built\nHINT: run `npm install && npm run build` in its folder', 1);
openProgram()
  .main(process.argv.slice(2))
  .then((status) => {
    process.exitCode = told(status);
    isOver = true;
    // A command that ignores its SIGTERM would keep Node waiting for ever; everything else has ended by itself long before this.
    setTimeout(() => process.exit(), 1_000).unref();
  }, crash);
