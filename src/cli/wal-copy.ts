import type { Command } from 'commander';
import type { SentToCopy } from '../backups/offsite/follow-wal.ts';
import { bytes, counted, roughly } from '../kernel/units.ts';
import { createParentWatch } from '../machine/parent.ts';
import type { CopyStatus } from '../wal/status.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';

const ABOUT = `
The supervisor does it by itself every wal.copySeconds, in a process for each place; a backup that is copied brings its WAL along too.`;

/** `dbkit wal copy`: kept WAL to other places, without a backup. */
export function registerWalCopy(wal: Command, cli: Cli): void {
  wal
    .command('copy')
    .description('send kept WAL to other places (`copies:` in dbkit.yaml) without a backup')
    .option('--to <name>', 'only to this copy (default: every configured copy)')
    .option('--follow', 'go on as WAL is kept, until the process that began this one has ended')
    .addHelpText('after', ABOUT)
    .addHelpText('after', '\nExamples:\n  dbkit wal copy\n  dbkit wal copy --to offsite')
    .action(({ to, follow = false }: { to?: string; follow?: boolean }, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const isOver = createParentWatch(); // At once: whoever began this may end while it is loaded.
        const app = await open();
        const names = to === undefined ? Object.keys(app.config.copies) : [to];
        if (follow) await Promise.all(names.map((name) => app.offsite.followWal(name, isOver, signal)));
        const copied: SentToCopy[] = [];
        if (!follow) for (const name of names) copied.push(await app.offsite.sendWal(name, signal));
        return { report: { copied }, text: (style) => (follow ? '' : sentView(copied, style)) };
      }),
    );
}

function sentView(copied: readonly SentToCopy[], style: Style): string {
  if (copied.length === 0) return '`copies:` in dbkit.yaml names no other place';
  return copied
    .map(({ copy, place, sentObjects, sentBytes, end }) => {
      if (end === null) return `nothing is kept here yet that ${copy} (${place}) could get`;
      const sent = sentObjects === 0 ? 'it was there already' : `${counted(sentObjects, 'object')}, ${bytes(sentBytes)}`;
      return `${style.good('sent')} WAL up to LSN ${end.lsn} on timeline ${end.timeline} to ${copy} (${place}): ${sent}`;
    })
    .join('\n');
}

/** One row of `wal status` for each copy. Pure. */
export const copyRows = (copies: readonly CopyStatus[], style: Style): string[][] =>
  copies.map(({ name, isContinuous, end, lag, failing }) => [
    `in ${name}`,
    failing !== null
      ? style.bad(`not sent: ${failing.message}`)
      : end === null || lag === null
        ? 'nothing was sent yet'
        : lag.seconds === 0
          ? `all of it, up to LSN ${end.lsn}`
          : `up to LSN ${end.lsn}; ${bytes(lag.bytes)}, ${roughly(lag.seconds)} behind${isContinuous ? '' : ', sent with backups only'}`,
  ]);
