import type { Command } from 'commander';
import type { ClusterRestore } from '../cluster/restoring/restore-local.ts';
import { bytes, counted, moment } from '../kernel/units.ts';
import type { PointFlags } from '../restore/read-point.ts';
import type { Call, Cli } from './cli.ts';
import { drawn } from './output/printable.ts';
import { confirm } from './output/prompt.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { withPoint } from './point-options.ts';
import { mayAsk } from './restore.ts';
import { pointRows } from './restore-views.ts';

interface RestoreFlags extends PointFlags {
  readonly dryRun?: boolean;
  readonly aside?: boolean;
}

/** `dbkit ha restore`: the whole cluster, after a total outage or to a moment before a mistake. */
export function registerClusterRestore(ha: Command, cli: Cli): void {
  withPoint(
    ha
      .command('restore')
      .argument('[label]', 'a base backup; `latest` is the newest good one. None, and no moment: go on with a restore that was interrupted')
      .description('bring the whole cluster back to a backup or a moment; the data of every member is set aside, never removed')
      .option('-n, --dry-run', 'show the plan; change nothing'),
  )
    .option('--aside', 'only set this machine’s data aside: the cluster was restored on another machine')
    .addHelpText(
      'after',
      '\nEvery member is stopped, what etcd knows of the cluster is removed, each data directory is set aside whole. The member whose data is the furthest is made\nfrom the backup and leads on a timeline of its own; Patroni makes the others from the same backup, or from it. Whatever interrupts it, `dbkit ha restore` goes on.\nSuccess means: the leader has acknowledged a commit, the write address leads to it, every other member streams.\n\nWhere ha.members names machines, type it on the machine that shall lead first. It does its part there, and says what to type where before it is typed\nagain; it goes on with nothing while a member runs.\n\nExamples:\n  dbkit ha restore --to "2026-11-28 14:02:00+00" --dry-run\n  dbkit ha restore data_20261120_195400 --yes\n  dbkit ha restore --before "drop table orders"',
    )
    .action((label: string | undefined, flags: RestoreFlags, command: Command) =>
      cli.run(command, async (call) => {
        const app = await call.app();
        const point = await app.restore.point(flags, call.signal);
        const { program, environment } = call.surroundings;
        const wish = { label, point, dryRun: flags.dryRun ?? false, aside: flags.aside ?? false, program, environment };
        const report = await app.cluster.restore(wish, (plan) => askFirst(plan, call), call.signal);
        return { report, text: (style) => clusterRestoreView(report, style) };
      }),
    );
}

async function askFirst(plan: ClusterRestore, call: Call): Promise<boolean> {
  const { flags, style, surroundings } = call;
  if (!flags.yes && !flags.json) surroundings.terminal.writeError(`${drawn(style, (look) => clusterRestoreView(plan, look))}\n\n`);
  return confirm('Set the data of the members aside and restore the whole cluster as planned?', {
    mayAsk: mayAsk(call),
    yes: flags.yes ?? false,
  });
}

function clusterRestoreView(report: ClusterRestore, style: Style): string {
  if (report.done) return outcome(report, style);
  const next = report.next.length === 0 ? '' : `\n\ntype, in this order:\n${report.next.map((line) => `  ${line}`).join('\n')}`;
  if (report.aside.length === 0) return `${planView(report, style)}${next}`;
  return `${table(report.aside.map(({ member, path }) => [`${member} before`, path]))}${next}`;
}

function planView({ plan, first, others, resumed }: ClusterRestore, style: Style): string {
  const rows = [
    ['restore', `${style.strong(plan.label)}, ${bytes(plan.sizeBytes)}, of ${moment(plan.createdAt)}`],
    ...(plan.point === null ? [['up to', 'as the backup holds it']] : pointRows(plan.point)),
    ['made first', `${first}, which then leads on a timeline of its own`],
    ['then', others.length === 0 ? 'there is no other member' : `${others.join(' and ')} from the backup, or from ${first}`],
    ['data of today', 'is set aside whole, for every member'],
  ];
  const begun = resumed ? `${style.warn('it was begun before, and is not finished: `dbkit ha restore` goes on')}\n\n` : '';
  return `${begun}${table(rows.map(([name, value]) => [style.dim(name!), value!]))}`;
}

function outcome({ plan, proof, aside, seconds }: ClusterRestore, style: Style): string {
  const { leader, timeline, streaming, rows } = proof!;
  const held = `${counted(rows.tables, 'table')} in ${counted(rows.databases, 'database')}`;
  const told = [
    ['restored', plan.label],
    ...(plan.point === null ? [] : pointRows(plan.point)),
    ['leads', `${leader}, on timeline ${timeline}; it acknowledged a commit`],
    ['streams', streaming.join(', ') || 'nobody: there is no other member'],
    ['rows', rows.rows === null ? `not counted; ${held}` : `${rows.rows} in ${held}`],
    ...aside.map(({ member, path }) => [`${member} before`, path]),
  ];
  return `${style.good('the cluster is restored')}, after ${Math.round(seconds)} s\n\n${table(told.map(([name, value]) => [style.dim(name!), value!]))}\n\ntake a backup of it: \`dbkit backup create\` on a member`;
}
