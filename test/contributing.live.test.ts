import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { write } from './harness/breaking.ts';
import { type Instance, openInstance } from './harness/instance.ts';
import { installed } from './harness/majors.ts';
import { emptyFolder } from './harness/package.ts';
import { nightly } from './harness/tier.ts';

const execute = promisify(execFile);

/** The file that a walk changes, and how: new text, or the text that goes in before a place in it. */
type Edit = { readonly file: string; readonly text: string } | { readonly file: string; readonly before: string; readonly add: string };

/** The four walks of CONTRIBUTING.md, walked. */
const walks: Readonly<Record<string, readonly Edit[]>> = {
  'A probe.': [
    {
      file: 'src/health/probes/tea.ts',
      text: `import type { ProbeOf } from '../probe.ts';

/** There is tea. */
export const teaProbe = (): ProbeOf<'tea'> => ({ name: 'tea', check: async () => ({ status: 'ok', summary: 'there is tea', data: { cups: 2 } }) });
`,
    },
    { file: 'src/health/probes/probes.ts', before: 'import { walProbe }', add: "import { teaProbe } from './tea.ts';\n" },
    { file: 'src/health/probes/probes.ts', before: '    walProbe(', add: '    teaProbe(),\n' },
    { file: 'src/config/probe-names.ts', before: "  'wal',", add: "  'tea',\n" },
    { file: 'src/health/facts.ts', before: '  readonly migrations: OwnFacts;', add: '  readonly tea: { readonly cups: number };\n' },
  ],
  'A channel.': [
    {
      file: 'src/alerts/channels/bell.ts',
      text: `import * as v from 'valibot';
import { channel, heard, text } from '../channel.ts';

/** Rings. */
export const bell = channel({
  settings: v.strictObject({ type: v.literal('bell'), path: text, ...heard }),
  questions: [{ field: 'path', words: 'Where is the bell?', kind: 'text' }],
  send: ({ path }, alert, { files }) => files.append(path, \`ding: \${alert.title}\\n\`, { mode: 0o600 }),
});
`,
    },
    { file: 'src/alerts/channels.ts', before: 'import { command }', add: "import { bell } from './channels/bell.ts';\n" },
    { file: 'src/alerts/channels.ts', before: 'email, telegram', add: 'bell, ' },
    { file: 'src/alerts/channels.ts', before: '  email.settings,', add: '  bell.settings,\n' },
  ],
  'A finding with its remedy.': [
    { file: 'src/recovery/evidence.ts', before: "  'server.running': 'never',", add: "  'teapot.found': 'never',\n" },
    {
      file: 'src/inspection/findings.ts',
      before: "  'conf.missing':",
      add: "  'teapot.found': 'a teapot stands in the data directory',\n",
    },
    {
      file: 'src/inspection/directories.ts',
      before: '  for (const path of withData.filter(missing))',
      add: "  if (entries.has('teapot')) findings.push({ code: 'teapot.found', path: 'teapot', evidence: 'it is short and stout', severity: 'certain' });\n",
    },
    {
      file: 'src/recovery/remedies-in-place.ts',
      before: "  {\n    id: 'empty-directory-gone',",
      add: "  { id: 'teapot', findings: ['teapot.found'], when: always, ...repairs, mend: 'set-aside-file', words: 'nobody needs it there' },\n",
    },
  ],
  'A command.': [
    {
      file: 'src/cli/tea.ts',
      text: `import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { nightly } from './harness/tier.ts';

export function registerTea(program: Command, cli: Cli): void {
  program
    .command('tea')
    .description('make tea')
    .action((_flags: object, command: Command) => cli.run(command, async () => ({ report: { cups: 2 }, text: () => 'two cups' })));
}
`,
    },
    { file: 'src/cli/program.ts', before: 'import { registerUp }', add: "import { registerTea } from './tea.ts';\n" },
    { file: 'src/cli/program.ts', before: '    registerUp(registered, cli);', add: '    registerTea(registered, cli);\n' },
  ],
};

/** Paths that a walk's paragraph names, `<name>` for what is new. */
async function named(walk: string): Promise<string[]> {
  const text = await readFile('CONTRIBUTING.md', 'utf8');
  const paragraph = text.slice(text.indexOf(`**${walk}**`)).split('\n\n')[0]!;
  return [...paragraph.matchAll(/`((?:src|test)\/[^`]*)`/g)].map(([, path]) => path!);
}

test.each(Object.entries(walks))('%s CONTRIBUTING.md names the files, and they are few', async (walk, edits) => {
  const paths = await named(walk);
  const files = [...new Set(edits.map(({ file }) => file))];
  const isNamed = (file: string): boolean =>
    paths.some(
      (path) =>
        path === file || (path.endsWith('/') && file.startsWith(path)) || new RegExp(`^${path.replace(/<\w+>/, '[a-z-]+')}$`).test(file),
    );
  expect(files.filter((file) => !isNamed(file))).toEqual([]);
  expect(files.length).toBeGreaterThanOrEqual(2);
  expect(files.length).toBeLessThanOrEqual(4);
});

nightly('whoever follows CONTRIBUTING.md has a probe, a channel, a finding with its remedy, and a command', async () => {
  const checkout = await emptyFolder();
  for (const name of ['src', 'bin', 'package.json', 'tsconfig.json', 'esbuild.config.mjs'])
    await cp(name, join(checkout, name), { recursive: true });
  await symlink(resolve('node_modules'), join(checkout, 'node_modules'));
  for (const edit of Object.values(walks).flat()) await make(checkout, edit);
  await writeFile(join(checkout, 'tsconfig.walk.json'), JSON.stringify({ extends: './tsconfig.json', include: ['src'] }));
  await execute('node_modules/.bin/tsc', ['-p', 'tsconfig.walk.json'], { cwd: checkout }).catch((cause: { stdout: string }) => {
    throw new Error(cause.stdout);
  });
  await execute(process.execPath, ['esbuild.config.mjs'], { cwd: checkout });

  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  await write(instance, 'teapot', 'tea');
  const bell = join(instance.root, 'bell');
  const config = join(instance.root, 'tea.json');
  await writeFile(config, JSON.stringify({ alerts: { channels: { house: { type: 'bell', path: bell } } } }), { mode: 0o600 });
  const dbkit = (...args: string[]) => dbkitOf(checkout, instance, ['--config', config, ...args]);
  expect(await dbkit('tea')).toBe('two cups\n');
  expect(JSON.parse(await dbkit('health', '--probe', 'tea', '--json'))).toMatchObject({
    report: { probes: [{ name: 'tea', data: { cups: 2 } }] },
  });
  await dbkit('alert', 'test');
  expect(await readFile(bell, 'utf8')).toBe('ding: this is a test\n');
  const { report } = JSON.parse(await dbkit('recover', '--dry-run', '--json')) as { report: unknown };
  expect(JSON.stringify(report)).toMatch(/teapot\.found[\s\S]*set-aside-file/);
  expect(await dbkit('explain', 'teapot')).toMatch(/nobody needs it there/);
});

async function make(checkout: string, edit: Edit): Promise<void> {
  const path = join(checkout, edit.file);
  await mkdir(dirname(path), { recursive: true });
  if ('text' in edit) return writeFile(path, edit.text);
  const text = await readFile(path, 'utf8');
  expect(text.split(edit.before), `${edit.file}: ${edit.before}`).toHaveLength(2);
  await writeFile(
    path,
    text.replace(edit.before, () => `${edit.add}${edit.before}`),
  );
}

async function dbkitOf(checkout: string, instance: Instance, args: readonly string[]): Promise<string> {
  const env = Object.fromEntries(Object.entries({ ...process.env, ...instance.env }).filter(([, value]) => value !== undefined));
  return (await execute(process.execPath, [join(checkout, 'bin/dbkit.js'), ...args], { cwd: instance.root, env })).stdout;
}
