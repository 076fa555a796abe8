import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../harness/ports.ts';

const dbkit = resolve('bin/dbkit.js');
let folder: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-services-'));
  mkdirSync(join(folder, 'services.d'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await gone;
  }
  rmSync(folder, { recursive: true, force: true });
});

/** The configuration of a machine without PostgreSQL: only the services under test. */
function configure(services: object): void {
  const config = {
    stateDir: join(folder, 'state'),
    logDir: join(folder, 'log'),
    backupDir: join(folder, 'backup'),
    servicesDir: join(folder, 'services.d'),
    disabledServices: ['postgresql'],
    stopSeconds: 4,
    services,
  };
  writeFileSync(join(folder, 'dbkit.yaml'), JSON.stringify(config)); // JSON is YAML.
}
const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], CI: 'true' };
const run = (...args: string[]) =>
  spawnSync(process.execPath, [dbkit, ...args, '--config', join(folder, 'dbkit.yaml')], { encoding: 'utf8', env, timeout: 60_000 });
const entrypoint = (...command: string[]) =>
  spawnSync(process.execPath, [dbkit, 'entrypoint', '--config', join(folder, 'dbkit.yaml'), '--', ...command], {
    encoding: 'utf8',
    env,
    timeout: 60_000,
  });

function inBackground(...command: string[]) {
  const child = spawn(process.execPath, [dbkit, 'entrypoint', '--config', join(folder, 'dbkit.yaml'), '--', ...command], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = new Promise<{ code: number | null; signal: string | null }>((done) =>
    child.once('exit', (code, signal) => done({ code, signal })),
  );
  const until = async (what: RegExp): Promise<void> => {
    for (let tries = 0; !what.test(said); tries += 1) {
      if (tries > 600 || child.exitCode !== null) throw new Error(`never said ${what}:\n${said}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  };
  return { child, exited, until, said: () => said };
}

test('Redis from the distribution runs as a service, and CMD finds it ready', async ({ skip }) => {
  if (spawnSync('redis-server', ['--version']).status !== 0) skip('redis-server is not installed');
  const port = await freePort();
  configure({
    redis: {
      command: ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder],
      ready: { tcp: port },
      onFail: 'exit',
    },
  });
  const script = `const s=require('net').connect(${port},'127.0.0.1',()=>s.write('PING\\r\\n'));s.on('data',d=>{process.stdout.write(d);process.exit(7)})`;
  const ended = entrypoint('node', '-e', script);
  expect(ended.stdout).toContain('+PONG');
  expect(ended.status).toBe(7);
});

test('services stop in the reverse order of their start', () => {
  const log = join(folder, 'order');
  const script = (name: string) => [
    'sh',
    '-c',
    `echo start ${name} >>${log}; trap 'echo stop ${name} >>${log}; exit 0' TERM; while :; do sleep 0.05; done`,
  ];
  const ready = (name: string) => ({ command: ['grep', '-q', `start ${name}`, log] });
  configure({
    second: { command: script('second'), dependsOn: ['first'], ready: ready('second') },
    first: { command: script('first'), ready: ready('first') },
  });
  expect(entrypoint('true').status).toBe(0);
  expect(readFileSync(log, 'utf8').trim().split('\n')).toEqual(['start first', 'start second', 'stop second', 'stop first']);
});

test('a service that cannot start says why, with the last lines of its log, and by policy stops the boot', () => {
  configure({ broken: { command: ['sh', '-c', 'echo the reason is here; exit 3'], ready: { log: 'never' }, onFail: 'exit' } });
  const ended = entrypoint('true');
  expect(ended.status).toBe(69);
  expect(ended.stderr).toMatch(/ended with status 3 before it was ready\nthe reason is here/);
});

test('an optional service that fails leaves the rest running', () => {
  configure({ broken: { command: ['false'], ready: { log: 'never' } }, good: { command: ['sleep', '60'] } });
  const ended = entrypoint('sh', '-c', 'exit 5');
  expect(ended.status).toBe(5);
  expect(ended.stderr).toMatch(/broken cannot run/);
});

test('a service that dies is started again, and after the limit the entrypoint fails', async () => {
  configure({ mortal: { command: ['sh', '-c', 'sleep 0.2; exit 1'], onFail: 'exit', restart: { backoffSeconds: 0.1, max: 2 } } });
  const { exited, said } = inBackground();
  expect(await exited).toEqual({ code: 69, signal: null });
  expect(said().match(/mortal is ready/g)).toHaveLength(3);
  expect(said()).toMatch(/died 3 times/);
});

test('init-* executables run in order at every start, and a module in the folder joins in', () => {
  configure({});
  const log = join(folder, 'ran');
  for (const name of ['init-20-b', 'init-10-a']) {
    writeFileSync(join(folder, 'services.d', name), `#!/bin/sh\necho ${name} >>${log}\n`);
    chmodSync(join(folder, 'services.d', name), 0o755);
  }
  writeFileSync(
    join(folder, 'services.d', 'own.mjs'),
    `import { appendFileSync } from 'node:fs';
     export default { name: 'own', create: () => ({ name: 'own', start: async () => {
       appendFileSync(${JSON.stringify(log)}, 'own started\\n');
       let end; const exited = new Promise((done) => { end = done; });
       return { pid: undefined, exited, details: {}, stop: async () => { appendFileSync(${JSON.stringify(log)}, 'own stopped\\n'); end({ code: 0, signal: null }); } };
     } }) };`,
  );
  for (let start = 0; start < 2; start += 1) expect(entrypoint('true').status).toBe(0);
  const once = ['own started', 'init-10-a', 'init-20-b', 'own stopped'];
  expect(readFileSync(log, 'utf8').trim().split('\n')).toEqual([...once, ...once]);
});

test('SIGTERM reaches CMD, and the status is 128 plus the signal', async () => {
  configure({});
  const { child, exited, until } = inBackground('sh', '-c', 'echo up >&2; exec sleep 60');
  await until(/up/);
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 143, signal: null });
});

test('a CMD that ignores SIGTERM does not hold the stop beyond its budget, and does not outlive it', async () => {
  configure({});
  const { child, exited, until } = inBackground(
    'sh',
    '-c',
    `echo $$ >${join(folder, 'pid')}; trap '' TERM; echo up >&2; while :; do sleep 0.1; done`,
  );
  await until(/up/);
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 143, signal: null });
  const left = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  expect(() => process.kill(left, 0), 'no orphan stays').toThrow(/ESRCH/);
});

test('without CMD it stays, and a requested stop is a success', async () => {
  configure({ idle: { command: ['sleep', '60'] } });
  const { child, exited, until } = inBackground();
  await until(/idle is ready/);
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 0, signal: null });
});

test('a stop in the middle of a slow start leaves nothing running', async () => {
  const pidFile = join(folder, 'pid');
  configure({ slow: { command: ['sh', '-c', `echo $$ >${pidFile}; exec sleep 60`], ready: { log: 'never' }, onFail: 'exit' } });
  const { child, exited } = inBackground();
  for (let tries = 0; !existsSync(pidFile) && tries < 200; tries += 1) await new Promise((done) => setTimeout(done, 50));
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 0, signal: null });
  expect(() => process.kill(Number(readFileSync(pidFile, 'utf8')), 0)).toThrow();
});

test('a second entrypoint is refused without CMD, and with CMD runs it beside the services', async () => {
  configure({ idle: { command: ['sleep', '60'] } });
  const { until } = inBackground();
  await until(/stop with Ctrl-C/);
  const refused = entrypoint();
  expect([refused.status, refused.stderr]).toEqual([75, expect.stringContaining('already')]);
  expect(entrypoint('sh', '-c', 'exit 9').status).toBe(9);
  expect(JSON.parse(run('services', '--json').stdout)).toMatchObject({
    ok: true,
    report: { services: [{ name: 'idle', state: 'ready' }] },
  });
});

test('as PID 1, dbkit-init reaps orphans, forwards signals and keeps the exit status', ({ skip }) => {
  if (process.getuid?.() !== 0) skip('only root can make a pid namespace here');
  configure({});
  const script = `sh -c '(sleep 0.1; exit 0) & exit 0'; sleep 0.5; ps -eo stat= 2>/dev/null | grep -c ^Z; exit 42`;
  const path = `${join(process.execPath, '..')}:/usr/bin:/bin`;
  const init = (...argv: string[]) =>
    spawnSync('unshare', ['--pid', '--fork', '--mount-proc', ...argv], {
      encoding: 'utf8',
      timeout: 30_000,
      env: { PATH: path, CI: 'true', DBKIT_CONFIG: join(folder, 'dbkit.yaml') },
    });
  if (init('true').status !== 0) skip('this machine does not allow pid namespaces');
  const shim = readFileSync('bin/dbkit-init', 'utf8')
    .replace('for init in tini docker-init catatonit dumb-init', 'for init in')
    .replace('here=$(', `here=${resolve('bin')} # $(`);
  writeFileSync(join(folder, 'own-loop'), shim, { mode: 0o755 });
  for (const program of [join(folder, 'own-loop'), resolve('bin/dbkit-init')]) {
    const ended = init(program, 'sh', '-c', script);
    expect(ended.status, ended.stderr).toBe(42);
    expect(ended.stdout.trim()).toBe('0');
  }
});
