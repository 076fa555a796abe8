import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { LintReport } from '../cluster/lint/lint-files.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';

const exits = { ok: 0, warning: 0, critical: 2 } as const;

interface LintFlags {
  readonly patroni?: string;
  readonly strict?: boolean;
}

/** The verbs of `dbkit ha` about configurations. */
export function registerSetup(ha: Command, cli: Cli): void {
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
