import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { configure, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

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
