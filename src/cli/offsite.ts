import type { Command } from 'commander';
import { requireOwn } from '../backups/find-backup.ts';
import { type Narrow, narrowed } from '../backups/list-backups.ts';
import type { CheckedCopy } from '../backups/offsite/check-copy.ts';
import type { CopiedBackup } from '../backups/offsite/copies.ts';
import type { CopyExpiry } from '../backups/offsite/expire-copies.ts';
import type { CopySummary } from '../backups/offsite/place.ts';
import { bytes, counted } from '../kernel/units.ts';
import type { App } from './app.ts';
import type { Answer, Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

const DAMAGED = 65;

/** `backup copy`: to other places. */
export function registerOffsite(backup: Command, cli: Cli): void {
  backup
    .command('copy')
    .description('copy a backup, and the WAL beside it, to other places (`copies:` in dbkit.yaml)')
    .argument('[label]', 'which', 'latest')
    .option('--to <name>', 'only to this copy (default: every configured copy)')
    .option('--other-cluster', 'also to a place that holds backups of another cluster')
    .addHelpText(
      'after',
      '\nOnly what has changed is sent. Killed or cut off at any time, the next run goes on.\n\nExamples:\n  dbkit backup copy\n  dbkit backup copy data_20261120_195400 --to offsite',
    )
    .action((label: string, { to, otherCluster = false }: { to?: string; otherCluster?: boolean }, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const found = requireOwn(await app.backups.find(label, signal));
        const copied: CopiedBackup[] = [];
        for (const name of to === undefined ? Object.keys(app.config.copies) : [to])
          copied.push(await app.offsite.copy(name, found.backup, { otherCluster }, signal));
        return { report: { copied }, text: (style) => copiedView(copied, style) };
      }),
    );
}

function copiedView(copied: readonly CopiedBackup[], style: Style): string {
  if (copied.length === 0) return '`copies:` in dbkit.yaml names no other place';
  return copied
    .map(({ copy, label, sizeBytes, sentBytes, walSegments, place }) => {
      const sent = sentBytes === 0 ? 'it was there already' : `${bytes(sentBytes)} of ${bytes(sizeBytes)} were sent`;
      return `${style.good('copied')} ${style.strong(label)} to ${copy} (${place}): ${sent}, ${counted(walSegments, 'segment')} of WAL`;
    })
    .join('\n');
}

interface ListedCopy extends Omit<CopySummary, 'packs' | 'manifest'> {}

/** `backup list --copy`. */
export async function listCopy(
  app: App,
  name: string,
  narrow: Narrow,
  signal: AbortSignal,
): Promise<Answer<{ copy: string; backups: readonly ListedCopy[] }>> {
  const all = narrowed([...(await app.offsite.list(name, signal))].reverse(), narrow);
  const backups = all.map(({ packs: _packs, manifest: _manifest, ...rest }) => rest);
  const rows = backups.map(({ label, sizeBytes, sentBytes, copiedAt, systemIdentifier }) => [
    label,
    bytes(sizeBytes),
    bytes(sentBytes),
    copiedAt,
    systemIdentifier,
  ]);
  return {
    report: { copy: name, backups },
    text: () => (rows.length === 0 ? `${name} holds no backup yet` : table(rows, ['LABEL', 'SIZE', 'SENT', 'COPIED', 'CLUSTER'])),
  };
}

/** `backup verify --copy`. */
export async function verifyCopy(
  app: App,
  name: string,
  labels: readonly string[],
  signal: AbortSignal,
): Promise<Answer<{ copy: string; backups: readonly CheckedCopy[] }>> {
  const backups = await app.offsite.verify(name, labels, signal);
  return {
    report: { copy: name, backups },
    text: (style) =>
      backups
        .map(
          ({ label, ok, problem }) =>
            `${ok ? style.good('sound') : style.bad('damaged')} ${label}${problem === null ? '' : `: ${problem}`}`,
        )
        .join('\n') || `${name} holds no backup yet`,
    exit: backups.every(({ ok }) => ok) ? 0 : DAMAGED,
  };
}

/** `backup cleanup --copy`. */
export async function cleanUpCopy(
  app: App,
  name: string,
  dryRun: boolean,
  signal: AbortSignal,
): Promise<Answer<{ copy: string; dryRun: boolean } & CopyExpiry>> {
  const { backups } = await app.backups.list(signal);
  const clusters = [...new Set(backups.map(({ systemIdentifier }) => systemIdentifier))];
  const done = await app.offsite.expire(name, { dryRun, clusters }, signal);
  const { decisions, swept, walSegments } = done ?? { decisions: [], swept: 0, walSegments: 0 };
  const goes = dryRun ? 'would go' : 'let go';
  return {
    report: { copy: name, dryRun, decisions, swept, walSegments },
    text: (style) => {
      if (done === null) return `${name} has no retention of its own in dbkit.yaml, so nothing goes`;
      const rows = decisions.map(({ label, keep, because }) => [keep ? 'keep' : style.warn(goes), label, because]);
      const objects = `${counted(swept, 'object')} of backups that went a week ago ${dryRun ? 'would be removed' : 'were removed'}`;
      const wal = `${counted(walSegments, 'WAL segment')} before every backup there ${dryRun ? 'would be removed' : 'were removed'}`;
      return rows.length === 0 ? `${name} holds no backup yet` : `${table(rows)}\n${objects}; ${wal}`;
    },
  };
}
