import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { AdoptReport } from '../homes/adopt/adopt.ts';
import { findCluster } from '../homes/adopt/find-clusters.ts';
import { bytes } from '../kernel/units.ts';
import { namesIn } from '../machine/is-there.ts';
import { readPlainText } from '../machine/plain-file.ts';
import type { Cli, GlobalFlags } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

export function registerAdopt(program: Command, cli: Cli): void {
  program
    .command('adopt')
    .description('look at a data directory of anybody’s, take a first backup, say what a start would change')
    .argument('[directory]', 'the data directory, or the volume that it is on; default: PGDATA')
    .option('--no-backup', 'only look')
    .addHelpText(
      'after',
      '\nNothing in the data is changed. The official image’s layouts, Bitnami’s, Debian’s, Postgres.app’s and Homebrew’s are known.\n\nExamples:\n  dbkit adopt /var/lib/postgresql/data\n  dbkit adopt --no-backup /mnt/volume',
    )
    .action((directory: string | undefined, flags: { backup: boolean }, command: Command) =>
      cli.run(command, async (call) => {
        const { surroundings, signal } = call;
        const named = directory ?? call.flags.dataDir;
        const dataDir = named === undefined ? undefined : await findCluster(resolve(surroundings.workingDirectory, named));
        const app = await call.app(dataDir === undefined ? {} : { flags: { ...(await addressOf(dataDir)), ...call.flags, dataDir } });
        const report = await app.homes.adopt({ backup: flags.backup }, signal);
        const kept = await keptIn(report.dataDir);
        return { report, text: (style) => adoptView(report, kept, style) };
      }),
    );
}

/** Where its server listens, if one runs: lines 4 and 5 of postmaster.pid (src/include/utils/pidfile.h). */
async function addressOf(dataDir: string): Promise<Pick<GlobalFlags, 'port' | 'socketDir'>> {
  const lines = (await readPlainText(join(dataDir, 'postmaster.pid')).catch(() => '')).split('\n');
  const [port, socketDir] = [Number(lines[3]), lines[4]?.trim()];
  return {
    ...(Number.isInteger(port) && port > 0 ? { port } : {}),
    ...(socketDir?.startsWith('/') ? { socketDir } : {}),
  };
}

/** Data that was replaced and files that were set aside: it may be all that is left of them. Paths below the data directory. */
async function keptIn(dataDir: string): Promise<string[]> {
  const folders = ['quarantine', 'set-aside'].map(async (name) => {
    const entries = await namesIn(join(dataDir, '.dbkit', name));
    return entries.sort().map((entry) => join('.dbkit', name, entry));
  });
  return (await Promise.all(folders)).flat();
}

const KEPT_SHOWN = 5;

/** `kept`: of earlier data, below the data directory. */
export function adoptView(report: AdoptReport, kept: readonly string[], style: Style): string {
  const { dataDir, because, major, sizeBytes, owner, serverRuns, isShutDown, checksums, findings, changes, warnings, settings } = report;
  const state = serverRuns
    ? 'its server runs'
    : isShutDown
      ? 'it was shut down'
      : 'its server crashed, or was killed: a start replays its WAL';
  const rows = [
    ['found', `${style.strong(dataDir)}, PostgreSQL ${major ?? 'not known'}, ${bytes(sizeBytes)}`],
    ['it is', because],
    ['owner', owner],
    ['state', state],
    ['checksums', checksums === null ? 'not known' : checksums ? 'on' : 'off: damage of a page is seen only when it breaks something'],
    ...findings.map(({ path, evidence }) => [style.bad('damage'), style.bad(`${path}: ${evidence}`)]),
    ...warnings.map((warning) => [style.warn('mind'), style.warn(warning)]),
    ['backup', report.backup === null ? `none: ${report.noBackup}` : `${style.strong(report.backup)}, read again and pinned`],
    ['changed now', 'nothing'],
    ...changes.map((change, index) => [index === 0 ? 'a start adds' : '', change]),
    [
      'to start it',
      `${Object.entries(settings)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ')} dbkit entrypoint`,
    ],
    ['to go back', `stop dbkit, and start it as before; PostgreSQL ignores ${join(dataDir, '.dbkit')}, which may stay`],
    ...(kept.length === 0 ? [] : [['', style.warn(`${namesOf(kept)} may be the only copy of earlier data: do not remove it unseen`)]]),
    ...(report.backup === null ? [] : [['', `\`dbkit backup restore ${report.backup}\` puts the data back as it is now`]]),
  ];
  return table(rows.map(([name, value]) => [style.dim(name!), value!]));
}

const namesOf = (kept: readonly string[]): string =>
  kept.length > KEPT_SHOWN ? `${kept.slice(0, KEPT_SHOWN).join(', ')} and ${kept.length - KEPT_SHOWN} more` : kept.join(', ');
