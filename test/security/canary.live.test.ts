import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { boot, type Ended, run, start } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump'))) ?? installed[0]!;
const CANARY = 'hunter2CANARY';

/** Looks at every process that works for the instance: its words, which anybody reads, and what a program that needs no secret was handed. */
function watchProcesses(root: string): { readonly seen: Set<string>; stop(): readonly string[] } {
  const shown = new Set<string>();
  const seen = new Set<string>();
  const look = (): void => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
      try {
        const [words, environment] = ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1'));
        if (!`${words}${environment}`.includes(root)) continue;
        const [program = ''] = words!.split('\0');
        seen.add(program.split('/').at(-1)!.split(':')[0]!);
        if (words!.includes(CANARY)) shown.add(`words of ${program}`);
        if (environment!.includes(CANARY) && !words!.includes('dbkit.js')) shown.add(`environment of ${program}`);
      } catch {} // It ended while we looked.
    }
  };
  const timer = setInterval(look, 20);
  const stop = (): readonly string[] => {
    clearInterval(timer);
    return [...shown];
  };
  onTestFinished(() => void stop());
  return { seen, stop };
}

test('no password reaches a command line, a child, a stream, a log or a file of the instance', async () => {
  const opened = await openInstance({ programs, from: 'empty' });
  const instance = { ...opened, env: { ...opened.env, DATABASE_PASSWORD: `${CANARY}-app`, POSTGRES_PASSWORD: `${CANARY}-super` } };
  await configure(instance, { postgresql: { settings: { log_statement: 'all', log_connections: 'on' } } });
  const script = 'set -e\ncase "$(env)" in *CANARY*) exit 9;; esac\ngrep -q CANARY "$PGPASSFILE"\nsleep 0.2\n';
  await writeFile(join(instance.initScriptsDir, '1-looks.sh'), script, { mode: 0o644 });
  const watched = watchProcesses(instance.root);
  const running = await boot(instance, { args: ['--verbose'] });
  const said: string[] = [];
  const commands = [
    ...['status', 'health', 'inspect', 'config show --origin', 'backup create'],
    ...(existsSync(join(programs.directory, 'pg_dump')) ? ['backup create --engine dump', 'backup verify latest --test'] : []),
    ...['restart', 'backup restore latest --yes'],
  ];
  for (const command of commands) {
    const ended = await run(instance, [...command.split(' '), '--verbose']);
    expect(ended, `${command}: ${ended.stderr}`).toMatchObject({ code: 0 });
    said.push(ended.stdout, ended.stderr);
  }
  expect(await askNumber(instance, 'app', 'SELECT 1')).toBe(1);
  const { stdout, stderr } = await running.stop();
  expect([...said, stdout, stderr].filter((text) => text.includes(CANARY))).toEqual([]);
  expect(watched.stop()).toEqual([]);
  expect([...watched.seen]).toEqual(expect.arrayContaining(['node', 'postgres']));
  const files = spawnSync('grep', ['--recursive', '--files-with-matches', '--text', '--fixed-strings', CANARY, instance.root], {
    encoding: 'utf8',
  });
  expect(files).toMatchObject({ status: 1, stdout: '' });
});

/** Those that serve until they are told to stop, ask a person, or are about the machine and not about the instance. */
const leftOut = new Set(['entrypoint', 'up', 'sql', 'monitor', 'alert setup', 'systemd install', 'systemd uninstall', 'ha up', 'ha down']);
const words: Readonly<Record<string, string>> = {
  'ha restore': 'latest --yes',
  down: '--help', // The server is wanted until the end.
  'snapshot save': 'app kept',
  'snapshot restore': 'app@kept --yes',
  'snapshot delete': 'app@kept --yes',
  'backup create': '--engine copy',
  'backup show': 'latest',
  'backup restore': 'latest --dry-run',
  'backup drill': 'latest',
  'backup copy': 'latest',
  'restore-point': 'noon',
  explain: 'directory.missing',
  'recover show': 'latest',
  'config check': '--show',
  completion: 'bash',
};

/** These go on until they are stopped, and are asked like the others. */
const goesOn = new Set(['wal receive']);

async function ended(instance: Instance, command: string, line: readonly string[]): Promise<Ended> {
  if (!goesOn.has(command)) return run(instance, line);
  const running = start(instance, line);
  await until(
    () => running.words() !== '',
    () => `${command} says nothing`,
  );
  return running.stop();
}

/** Every command that docs/COMMANDS.md has, so that a new one is asked too. */
function everyCommand(): string[] {
  const named = [...readFileSync('docs/COMMANDS.md', 'utf8').matchAll(/^## dbkit (.+)$/gm)].map(([, name]) => name!);
  return named.filter((name) => !leftOut.has(name));
}

nightly('no command shows a secret from any source, and none has a bug when it is asked for nothing', { timeout: 900_000 }, async () => {
  const opened = await openInstance({ programs, from: 'empty' });
  const secretFile = join(opened.root, 'secret-of-mail');
  await writeFile(secretFile, `${CANARY}-mail\n`, { mode: 0o644 });
  const told = {
    DATABASE_PASSWORD: `${CANARY}-app`,
    POSTGRES_PASSWORD: `${CANARY}-super`,
    TOKEN: `1:${CANARY}-token`,
    HOOK: `http://127.0.0.1:9/${CANARY}-hook`,
    PING: `http://user:${CANARY}-url@127.0.0.1:9/${CANARY}-ping`,
    KEY_ID: `${CANARY}-key-id`,
    KEY: `${CANARY}-key`,
  };
  const instance = { ...opened, env: { ...opened.env, ...told } };
  await configure(instance, {
    alerts: {
      channels: {
        bot: { type: 'telegram', token: { env: 'TOKEN' }, chatId: '1' },
        hook: { type: 'webhook', url: { env: 'HOOK' } },
        mail: {
          type: 'email',
          host: '127.0.0.1',
          port: 9,
          sender: 'a@localhost',
          to: ['b@localhost'],
          user: 'a',
          password: { file: secretFile },
        },
      },
    },
    monitor: { pingUrl: { env: 'PING' } },
    copies: {
      bucket: {
        type: 's3',
        bucket: 'kept',
        endpoint: 'http://127.0.0.1:9',
        region: 'here',
        accessKeyId: { env: 'KEY_ID' },
        secretAccessKey: { env: 'KEY' },
      },
    },
  });
  const first = await boot(instance);
  await first.stop();
  const broken = `primary_conninfo = 'host=127.0.0.1 password=${CANARY}-standby'\nnot a setting ${CANARY}-line\n`;
  const conf = join(instance.dataDir, 'conf-of-a-person.conf');
  await writeFile(conf, broken, { mode: 0o644 });
  const watched = watchProcesses(instance.root);
  const running = await boot(instance, { args: ['--verbose'] });
  await appendFile(join(instance.dataDir, 'postgresql.conf'), `include 'conf-of-a-person.conf'\n`); // For those that read the files, the server has started.
  const bad: string[] = [];
  for (const command of everyCommand()) {
    const line = [...command.split(' '), ...(words[command]?.split(' ') ?? []), '--verbose'];
    const { code, stdout, stderr } = await ended(instance, command, line);
    if (`${stdout}${stderr}`.includes(CANARY)) bad.push(`${line.join(' ')} shows a secret`);
    if (code === null || code === 70) bad.push(`${line.join(' ')}: ${stderr}`);
  }
  const { stdout, stderr } = await running.stop();
  expect([...bad, ...[stdout, stderr].filter((text) => text.includes(CANARY))]).toEqual([]);
  expect(watched.stop()).toEqual([]);
  const own = [secretFile, conf].map((path) => `--exclude=${basename(path)}`); // Backups hold the second one, as they must.
  const files = spawnSync('grep', ['-rlaF', ...own, CANARY, instance.root], { encoding: 'utf8' });
  expect(files).toMatchObject({ status: 1, stdout: '' });
});
