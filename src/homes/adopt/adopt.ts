import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backups } from '../../backups/backup.ts';
import type { Config } from '../../config/config.ts';
import type { Finding } from '../../inspection/findings.ts';
import type { Inspect } from '../../inspection/report.ts';
import type { Instance } from '../../instance/contract.ts';
import { configFileElsewhere } from '../../instance/external-configuration.ts';
import { refuseForeign } from '../../instance/guard/preflight.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity } from '../../kernel/machine.ts';
import { decide, fill } from '../../kernel/reasons.ts';
import { isThere } from '../../machine/is-there.ts';
import { type LayoutId, layoutRows, NOTHING_TO_MIND } from './layouts.ts';

export interface AdoptInput {
  /** Without it the data is only looked at. */
  readonly backup: boolean;
}

/** A data directory of anybody's, and what dbkit would do with it. */
export interface AdoptReport {
  readonly dataDir: string;
  readonly layout: LayoutId;
  readonly because: string;
  readonly major: number | null;
  readonly systemIdentifier: string | null;
  readonly sizeBytes: number;
  readonly owner: string;
  readonly serverRuns: boolean;
  /** pg_control says that it was shut down. */
  readonly isShutDown: boolean;
  readonly checksums: boolean | null;
  readonly findings: readonly Finding[];
  /** The changes that a first start by dbkit makes in or around the data. */
  readonly changes: readonly string[];
  readonly warnings: readonly string[];
  /** Environment by which dbkit means this data. */
  readonly settings: Readonly<Record<string, string>>;
  /** The first backup; null where none was taken. */
  readonly backup: string | null;
  readonly noBackup: string | null;
}

interface Needs {
  readonly config: Config;
  readonly inspect: Inspect;
  readonly instance: Instance;
  readonly backups: readonly Backups[];
}

/** Findings that say how it was left, and nothing of damage. */
const circumstances: ReadonlySet<Finding['code']> = new Set([
  'entry.foreign',
  'shutdown.unclean',
  'pid.stale',
  'server.running',
  'times.differ',
]);

/**
 * Looks at data that dbkit has not made, says what it is and what a start would change, and takes a first backup, which changes nothing. Rejects
 * with `data.foreign` for what is not PostgreSQL's, or Patroni's.
 */
export async function adopt({ config, inspect, instance, backups }: Needs, input: AdoptInput, signal: AbortSignal): Promise<AdoptReport> {
  const { dataDir } = config.postgresql;
  await refuseForeign(dataDir);
  const seen = await inspect({ deep: false }, signal);
  const owner = await instance.owner();
  const { uid } = await stat(dataDir);
  const configFile = (await configFileElsewhere(dataDir)) ?? null;
  const isKnown = await isThere(join(dataDir, '.dbkit'));
  const { id, words, then } = decide(layoutRows, { dataDir, uid, configFile, isKnown });
  const live = await instance.live(config.health.timeoutSeconds * 1000, signal);
  const isShutDown = seen.clusterState?.startsWith('shut down') ?? false;
  const findings = seen.findings.filter(({ code }) => !circumstances.has(code));
  const why = input.backup ? whyNoBackup({ isLive: live !== undefined, isShutDown, findings }) : 'it was not asked for';
  return {
    dataDir,
    layout: id,
    because: fill(words, { configFile }),
    major: seen.major,
    systemIdentifier: seen.systemIdentifier,
    sizeBytes: seen.sizeBytes,
    owner: `${owner.name} (${uid})`,
    serverRuns: live !== undefined,
    isShutDown,
    checksums: seen.checksums,
    findings,
    changes: changesOf(config, { findings, isKnown, owner }),
    warnings: then === NOTHING_TO_MIND ? [] : [then],
    settings: settingsOf(config),
    backup: why === null ? await firstBackup(backups, signal) : null,
    noBackup: why,
  };
}

/** Files of a crashed server are not consistent, and damage is not what a first backup should hold. */
export function whyNoBackup(facts: {
  readonly isLive: boolean;
  readonly isShutDown: boolean;
  readonly findings: readonly Finding[];
}): string | null {
  if (facts.findings.some(({ severity }) => severity === 'certain'))
    return 'it is not whole: `dbkit recover --dry-run` says what can be done';
  if (facts.isLive || facts.isShutDown) return null;
  return 'the server was not shut down, and does not answer: the first start replays its WAL, and takes the backup';
}

async function firstBackup(backups: readonly Backups[], signal: AbortSignal): Promise<string> {
  const of = backups.find(({ kind }) => kind === 'physical');
  if (!of) throw new DbkitError('backup.missing', 'no backup of the data can be taken here', { hint: 'nothing was changed' });
  const backup = await of.take(signal, { note: 'as it was adopted', pin: true });
  await of.verify(backup, signal);
  return backup.label;
}

function changesOf(
  { postgresql: { username, database = username } }: Config,
  { findings, isKnown, owner }: { readonly findings: readonly Finding[]; readonly isKnown: boolean; readonly owner: Identity },
): string[] {
  const mends = (code: Finding['code']): boolean => findings.some((finding) => finding.code === code);
  return [
    ...(isKnown ? [] : ['a folder .dbkit in it, for the lock and for what a repair sets aside']),
    ...(mends('owner.wrong') ? [`the owner of its files is ${owner.name}’s`] : []),
    ...(mends('mode.wrong') ? ['its mode is 0700'] : []),
    `the role ${username} and the database ${database} are made where they are not there (DATABASE_USERNAME, DATABASE_NAME)`,
  ];
}

/** Names that dbkit and the official image have in common. */
const settingsOf = ({ postgresql: { dataDir, port, superuser } }: Config): Record<string, string> => ({
  PGDATA: dataDir,
  ...(port === 5432 ? {} : { PGPORT: String(port) }),
  ...(superuser === 'postgres' ? {} : { POSTGRES_USER: superuser }),
});
