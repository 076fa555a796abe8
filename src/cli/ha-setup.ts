import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { LintReport } from '../cluster/lint/lint-files.ts';
import type { RenderedCluster } from '../cluster/render/render.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';

const exits = { ok: 0, warning: 0, critical: 2 } as const;

interface LintFlags {
  readonly patroni?: string;
  readonly strict?: boolean;
}

/** The verbs of `dbkit ha` about configurations. */
export function registerSetup(ha: Command, cli: Cli): void {
  registerLint(ha, cli);
  registerRender(ha, cli);
}

function registerLint(ha: Command, cli: Cli): void {
  ha.command('lint')
    .argument('[files...]', 'patroni.yml, the output of `patronictl show-config`, etcd’s YAML, haproxy.cfg, pgbouncer.ini, units')
    .description('find what is dangerous in the configuration of a cluster')
    .option('--patroni <version>', 'the version of Patroni that reads it (default: the one that a member says)', version)
    .option('--strict', 'warnings fail')
    .addHelpText(
      'after',
      '\nWithout files it reads those in /etc, and asks the members of ha.members for the settings that they share. Name the files of all members\ntogether: some dangers stand between them.\n\nAnswers 0 when nothing is dangerous or only warned of, 1 for a warning with --strict, 2 when something is critical.\n\nExamples:\n  dbkit ha lint\n  dbkit ha lint --patroni 3.0.2 n1.yml n2.yml n3.yml haproxy.cfg',
    )
    .action((files: readonly string[], { patroni, strict }: LintFlags, command: Command) =>
      cli.run(command, async ({ app, signal, surroundings: { workingDirectory } }) => {
        const wish = { files: files.map((file) => resolve(workingDirectory, file)), patroniVersion: patroni };
        const report = await (await app({ asCaller: true })).cluster.lint(wish, signal);
        return { report, text: (style) => lintView(report, style), exit: report.status === 'warning' && strict ? 1 : exits[report.status] };
      }),
    );
}

interface RenderFlags {
  readonly member?: string;
  readonly to?: string;
  readonly patroni: string;
  readonly guard: boolean;
}

function registerRender(ha: Command, cli: Cli): void {
  ha.command('render')
    .description('print the files of every machine of the cluster that ha: describes')
    .option('--member <name>', 'only the files of this member')
    .option('--to <dir>', 'write them to this folder, one folder for each machine')
    .option('--patroni <version>', 'the version of Patroni that will read them', version, '4.0.0')
    .option('--no-guard', 'run Patroni without dbkit, and so without its guard')
    .addHelpText(
      'after',
      '\nFor each member patroni.yml, a unit in which dbkit runs and guards Patroni, dbkit.yaml, the names of the passwords that it needs, and etcd with its unit; haproxy.cfg and pgbouncer.ini for the\nmachine that clients come to. No file holds a password. What is rendered is linted.\n\nExamples:\n  dbkit ha render --member n1\n  dbkit ha render --patroni 3.0.2 --to /root/cluster',
    )
    .action(({ member, to, patroni, guard }: RenderFlags, command: Command) =>
      cli.run(command, async ({ app, surroundings: { workingDirectory } }) => {
        const wish = { member, to: to === undefined ? undefined : resolve(workingDirectory, to), patroniVersion: patroni, guard };
        const report = await (await app({ asCaller: true })).cluster.render(wish);
        return { report, text: (style) => renderView(report, style) };
      }),
    );
}

function version(text: string): string {
  if (/^\d+\.\d+(\.\d+)?$/.test(text)) return text;
  throw new InvalidArgumentError("expected a version, like '4.0.7'.");
}

function lintView({ status, files, sharedFrom, patroniVersion, findings }: LintReport, style: Style): string {
  const look = { ok: style.good, warning: style.warn, critical: style.bad };
  const read = files.map(({ path, kind }) => `${path} (${kind})`).join(', ') || 'no file';
  const shared = sharedFrom === null ? 'not known: add the output of `patronictl show-config`' : `from ${sharedFrom}`;
  const heading = `${look[status](status)}: ${read}\nsettings that all members share: ${shared}; Patroni ${patroniVersion ?? 'of a version not known'}`;
  const found = findings.map(
    ({ id, severity, file, words, next }) => `${look[severity](severity)}: ${file}: ${words} ${style.dim(`(${id})`)}\n  ${next}`,
  );
  return [heading, ...(found.length === 0 ? ['nothing dangerous was found'] : found)].join('\n\n');
}

function renderView({ files, folder, findings }: RenderedCluster, style: Style): string {
  const told = findings.map(({ severity, file, words, next }) => `# ${severity}: ${file}: ${words}\n#   ${next}`);
  if (folder === null)
    return [...told, ...files.map(({ name, place, text }) => `${style.dim(`# ${name}: goes to ${place}`)}\n${text}`)].join('\n');
  const written = files.map(({ name, place }) => `${folder}/${name}  goes to ${place}`);
  return [
    ...written,
    ...told,
    'fill in passwords.env, the same on every member; make the data directory for the user of Patroni; start etcd on its machines, then Patroni',
  ].join('\n');
}
