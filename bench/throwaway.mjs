// A server of its own for a benchmark, in a folder of its own: as root everything runs as the user postgres.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SETTINGS = ['max_wal_size=8GB', 'shared_buffers=256MB', 'checkpoint_timeout=1h', 'autovacuum=off', 'listen_addresses='];

/** The programs of the newest PostgreSQL that is installed. */
export const newestPrograms = () =>
  `/usr/lib/postgresql/${readdirSync('/usr/lib/postgresql')
    .map(Number)
    .sort((a, b) => b - a)
    .at(0)}/bin`;

function lookup(name) {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${name}:`));
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** Folders below BENCH_DIR or the temporary folder; `close` ends the servers and removes them. */
export function openThrowaway(binDir) {
  const isRoot = process.getuid() === 0;
  const identity = isRoot ? lookup('postgres') : {};
  const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'dbkit-bench-'));
  chmodSync(root, 0o755);
  const port = 20_000 + (process.pid % 12_000);
  const started = [];
  const own = (name) => {
    const path = join(root, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (isRoot) chownSync(path, identity.uid, identity.gid);
    return path;
  };
  const emptied = (name) => {
    rmSync(join(root, name), { recursive: true, force: true });
    return own(name);
  };
  const attempt = (file, args, env = {}) =>
    spawnSync(file, args, {
      ...identity,
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      env: { PATH: process.env.PATH, HOME: root, ...env },
    });
  const run = (file, args, env) => {
    const { status, stdout, stderr, error } = attempt(file, args, env);
    if (error || status !== 0) throw new Error(`${file} ${args.join(' ')}: ${error?.message ?? `${status}\n${stdout}${stderr}`}`);
    return stdout;
  };
  const [dataDir, socketDir] = [own('data'), own('run')];
  const at = (ownPort = port) => ['-h', socketDir, '-p', String(ownPort), '-U', 'postgres'];
  const sql = (...statements) =>
    run(join(binDir, 'psql'), [...at(), '-qAtX', '-v', 'ON_ERROR_STOP=1', ...statements.flatMap((text) => ['-c', text])]).trim();

  /** Waits for the first answer to `question`: a server that is recovering gives none. */
  async function serve(directory, ownPort, { question = 'SELECT 1', settings = [] } = {}) {
    const all = [`port=${ownPort}`, `unix_socket_directories=${socketDir}`, ...SETTINGS, ...settings];
    const child = spawn(join(binDir, 'postgres'), ['-D', directory, ...all.flatMap((setting) => ['-c', setting])], {
      ...identity,
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => (said = (said + chunk).slice(-4_000)));
    started.push(child);
    while (attempt(join(binDir, 'psql'), [...at(ownPort), '-qAtXc', question]).status !== 0) {
      if (child.exitCode !== null) throw new Error(`the server on ${directory} does not start: ${said}`);
      await sleep(5);
    }
    return child;
  }
  const stop = (child) =>
    new Promise((done) => {
      child.once('exit', done);
      child.kill('SIGINT');
    });
  const init = (...lines) => {
    run(join(binDir, 'initdb'), ['-D', dataDir, '-U', 'postgres', '--data-checksums', '--no-sync', '-A', 'trust']);
    appendFileSync(join(dataDir, 'postgresql.conf'), lines.map((line) => `${line}\n`).join(''));
  };
  const close = async () => {
    for (const child of started) child.kill('SIGQUIT');
    await sleep(500);
    rmSync(root, { recursive: true, force: true });
  };
  return { root, identity, port, dataDir, socketDir, at, own, emptied, attempt, run, sql, init, serve, stop, close };
}
