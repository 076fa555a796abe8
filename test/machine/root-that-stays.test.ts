import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isRoot } from '../harness/as-user.ts';
import { program } from '../harness/dbkit.ts';

/** Debian 13's Node 20.19.2 answers each change of ids so, whatever the environment says: seen there, with its libuv 1.50. */
const DEBIANS = `Object.defineProperty(process, 'config', { value: { variables: { node_shared_libuv: true } } });
const refuse = (name) => () => {
  throw Object.assign(new Error(name + '() disabled: io_uring may be enabled. See CVE-2024-22017.'), { code: 'ERR_INVALID_STATE' });
};
for (const name of ['setgid', 'setuid', 'setegid', 'seteuid', 'setgroups', 'initgroups']) process[name] = refuse(name);`;

function dbkit(words: readonly string[], settings: { readonly env?: Readonly<Record<string, string>>; readonly preloaded?: string } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-root-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const preload = join(root, 'preload.cjs');
  writeFileSync(preload, settings.preloaded ?? '');
  const state = join(root, 'state');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--require', preload, program, ...words], {
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'],
      PGDATA: join(root, 'data'),
      BACKUP_DIR: join(root, 'backups'),
      DBKIT_STATE_DIR: state,
      ...settings.env,
    },
  });
  return { status, stdout, stderr, hasState: existsSync(state) };
}

test.runIf(isRoot)('a Node on which root stays root is refused before anything is done, with what to type', () => {
  const refused = dbkit(['backup', 'create'], { preloaded: DEBIANS });
  expect(refused).toMatchObject({ status: 77, hasState: false });
  expect(refused.stderr).toMatch(/this Node \S+ cannot put root's rights down/);
  expect(refused.stderr).toMatch(/HINT: install Node 22 .*setpriv --reuid=\d+ --regid=\d+ --init-groups dbkit/);
  expect(refused.stderr).not.toContain('bug');
});

const uring = { UV_USE_IO_URING: '1' };
/** Node has it in 20 and 22; a later libuv does not look at that variable as root. */
const isRefused = spawnSync(process.execPath, ['--eval', 'process.setegid(process.getegid())'], { env: uring }).status !== 0;
test.runIf(isRoot && isRefused)('UV_USE_IO_URING makes any Node such a one: the variable is named', () => {
  const refused = dbkit(['status'], { env: uring });
  expect(refused).toMatchObject({ status: 77, hasState: false, stderr: expect.stringContaining('env -u UV_USE_IO_URING') });
});

test('what needs no other rights works there, and doctor tells', () => {
  expect(dbkit(['--version'], { preloaded: DEBIANS })).toMatchObject({ status: 0, stderr: '' });
  const env = { DISABLED_SERVICES: 'postgresql' };
  const { stdout } = dbkit(['doctor', '--json'], { preloaded: DEBIANS, env });
  const { report } = JSON.parse(stdout) as { report: { complaints: readonly { id: string; next: string }[] } };
  expect(report.complaints.find(({ id }) => id === 'tonight-node-keeps-root')?.next).toContain('npm install --global node@22');
});
