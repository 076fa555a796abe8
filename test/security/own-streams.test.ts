import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'valibot';
import { expect, test } from 'vitest';
import { isThisMachine } from '../../src/alerts/channels/email.ts';
import { configSchema } from '../../src/config/config.ts';
import { toFailure } from '../../src/kernel/errors.ts';
import { isOwnLog, pruneLogs } from '../../src/upkeep/prune-logs.ts';
import { testSystem } from '../backups/copy-engine.fixture.ts';
import { program } from '../harness/dbkit.ts';

const noFull = existsSync('/dev/full') ? undefined : 'there is no /dev/full';
const sh = (words: string): number | null =>
  spawnSync('sh', ['-c', `"${process.execPath}" "${program}" ${words}`], { env: { PATH: process.env['PATH'] } }).status;

test.skipIf(noFull)('a report that cannot be written fails in words, and stderr may fail as it likes', () => {
  expect(sh('config schema >/dev/full')).toBe(69);
  expect(sh('config schema >/dev/full 2>/dev/full')).toBe(69);
  expect(sh('config schema 2>/dev/full >/dev/null')).toBe(0);
  expect(sh('config schema >&- 2>&-')).toBe(0);
  expect(sh('config schema | head -c 1 >/dev/null')).toBe(0);
});

test('with too few descriptors the machine is short of something, and dbkit has no bug', () => {
  const runWith = (descriptors: number) => {
    const script = `ulimit -n ${descriptors}; exec "${process.execPath}" "${program}" config schema`;
    const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    return { status, bug: stderr.includes('bug in dbkit') };
  };
  let descriptors = 32; // Enough; how few are too few depends on Node.
  while (descriptors > 10 && runWith(descriptors).status === 0) descriptors -= 1;
  expect(runWith(descriptors)).toEqual({ status: 69, bug: false });
});

test('what dbkit makes is for nobody else to write, whatever umask it was started with', () => {
  const script = `umask 000; cd "$(mktemp -d)" && "${process.execPath}" "${program}" config init >/dev/null && stat -c %a dbkit.yaml; rm -f dbkit.yaml`;
  expect(execFileSync('sh', ['-c', script], { encoding: 'utf8', env: { PATH: process.env['PATH'] } }).trim()).toBe('644');
});

test.each([
  ['ENOSPC', 'volume.full'],
  ['EROFS', 'volume.read-only'],
  ['EMFILE', 'machine.exhausted'],
  ['ENOMEM', 'machine.exhausted'],
  ['EIO', 'volume.failing'],
  ['EACCES', 'data.owner'],
  ['ECONNRESET', 'service.failed'],
  ['ENOTDIR', 'data.foreign'],
  ['EEXIST', 'data.foreign'],
])('%s is the machine’s trouble, and no bug of dbkit’s', (code, failure) => {
  expect(toFailure(Object.assign(new Error(`${code}: words, write`), { code })).code).toBe(failure);
});

test('a password goes without TLS to loopback alone', () => {
  expect(['localhost', '127.0.0.1', '127.1.2.3', '::1'].every(isThisMachine)).toBe(true);
  expect(['localhost.example.org', '127.0.0.1.nip.io', '127.evil.example', 'mylocalhost'].some(isThisMachine)).toBe(false);
});

test('only this instance’s own logs are its business', () => {
  const debian = isOwnLog('postgresql-15-main.log');
  expect(['postgresql-15-main.log', 'postgresql-15-main.log.2.gz', 'dbkit.log.1'].every(debian)).toBe(true);
  expect(['postgresql-16-main.log', 'postgresql.log', 'postgresql-15-other.log.1', 'notes.log'].some(debian)).toBe(false);
  const dated = isOwnLog('postgresql-2026-11-28_000000.log');
  expect(dated('postgresql-2026-11-27_000000.log')).toBe(true);
  expect(isOwnLog('postgresql.log')('postgresql-16-main.log')).toBe(false);
});

test.skipIf(process.getuid?.() !== 0)('a log of another user’s is not removed, whatever its name says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  try {
    for (const [name, uid] of [
      ['postgresql.log', 0],
      ['postgresql.log.1', 0],
      ['postgresql.log.2', 12_345],
    ] as const) {
      writeFileSync(join(folder, name), 'words');
      utimesSync(join(folder, name), 1, 1);
      chownSync(join(folder, name), uid, 0);
    }
    const config = parse(configSchema, { logDir: folder, health: { logFile: join(folder, 'postgresql.log') } });
    await pruneLogs(config, await testSystem([]), { dryRun: false, onlyRemove: true });
    expect(readdirSync(folder).sort()).toEqual(['postgresql.log', 'postgresql.log.2']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
