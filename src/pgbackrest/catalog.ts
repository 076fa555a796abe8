import { join } from 'node:path';
import * as v from 'valibot';
import type { Backup, BackupDetails } from '../backups/backup.ts';
import type { Config } from '../config/config.ts';
import { type KnownDamage, knownDamageSchema } from '../inspection/known-damage.ts';
import { DbkitError } from '../kernel/errors.ts';
import { parseInfo, type RestBackup, type RestInfo } from './info.ts';
import type { Rest } from './program.ts';
import { repositoryOf } from './render.ts';

/** dbkit's own words about a backup: annotations of pgBackRest's, so that they are as safe as the backup. */
export const keys = {
  note: 'dbkit-note',
  pinned: 'dbkit-pinned',
  verifiedAt: 'dbkit-verified-at',
  provenAt: 'dbkit-proven-at',
  restoreMs: 'dbkit-restore-ms',
  problem: 'dbkit-problem',
  knownDamage: 'dbkit-known-damage',
} as const;

/** A repository that hangs must not hang whoever only asks. pgBackRest tries again for io-timeout, and then says why. */
const INFO_MS = 30_000;
const ANNOTATE_MS = 60_000;

/** Rejects with `store.unavailable` where the repository does not answer. */
export async function readInfo(rest: Rest, signal: AbortSignal): Promise<RestInfo> {
  const { stanza } = await rest.prepare();
  return parseInfo(await rest.run('info', { args: ['--output=json', '--io-timeout=10'], timeoutMs: INFO_MS }, signal), stanza);
}

/** Rejects with `backup.missing`. */
export async function requireSet(rest: Rest, { label }: Pick<Backup, 'label'>, signal: AbortSignal): Promise<RestBackup> {
  const found = (await readInfo(rest, signal)).backups.find((one) => one.label === label);
  if (found) return found;
  throw new DbkitError('backup.missing', `pgBackRest has no backup ${label}`, { hint: '`dbkit backup list` shows what there is' });
}

/** Sets annotations; an empty text removes one. Several sets are independent of each other: a kill between two leaves each as it was or as it shall be. */
export async function annotate(
  rest: Rest,
  { set }: Pick<RestBackup, 'set'>,
  words: Partial<Record<keyof typeof keys, string>>,
  signal: AbortSignal,
): Promise<void> {
  const args = annotationArguments(words);
  if (args.length > 0) await rest.run('annotate', { args: [`--set=${set}`, ...args], timeoutMs: ANNOTATE_MS }, signal);
}

export const annotationArguments = (words: Partial<Record<keyof typeof keys, string>>): string[] =>
  Object.entries(words).map(([name, value]) => `--annotation=${keys[name as keyof typeof keys]}=${value.replace(/[\n\r\0]/g, ' ')}`);

/** Where the repository is, for people. */
export function placeOf({ pgbackrest: settings, backupDir }: Pick<Config, 'pgbackrest' | 'backupDir'>): string {
  const repository = repositoryOf({ settings, backupDir });
  return repository.type === 'directory' ? repository.path : `s3://${repository.bucket}/${repository.prefix}`.replace(/\/$/, '');
}

/** Pure. */
export function toBackup(one: RestBackup, place: string, stanza: string): Backup {
  const said = (name: keyof typeof keys): string | null => one.annotations[keys[name]] ?? null;
  const restoreMs = Number(said('restoreMs') ?? Number.NaN);
  return {
    label: one.label,
    path: join(place.replace(/^s3:\/\//, 's3:/'), 'backup', stanza, one.set).replace(/^s3:\//, 's3://'),
    kind: 'physical',
    createdAt: one.endedAt.toISOString(),
    state: stateOf(one),
    pgVersion: one.pgVersion,
    systemIdentifier: one.systemIdentifier,
    sizeBytes: one.sizeBytes,
    newBytes: one.storedBytes,
    isPlain: false,
    note: said('note'),
    pinned: said('pinned') === 'yes',
    verifiedAt: timeIn(said('verifiedAt')),
    provenAt: timeIn(said('provenAt')),
    restoreMs: Number.isFinite(restoreMs) ? restoreMs : undefined,
    knownDamage: damageIn(said('knownDamage')),
  };
}

const timeIn = (text: string | null): string | null => (text !== null && !Number.isNaN(Date.parse(text)) ? text : null);

/** Pure. */
export function stateOf({ hasDamagedPages, annotations }: RestBackup): Backup['state'] {
  if (hasDamagedPages || annotations[keys.problem]) return 'damaged';
  if (annotations[keys.provenAt]) return 'proven';
  return annotations[keys.verifiedAt] ? 'verified' : 'good';
}

/** Written by dbkit; whatever else may stand there says nothing. */
function damageIn(text: string | null): readonly KnownDamage[] {
  if (text === null) return [];
  try {
    return v.parse(v.array(knownDamageSchema), JSON.parse(text));
  } catch {
    return [];
  }
}

/** Pure. */
export const describe = (one: RestBackup): BackupDetails => ({
  set: one.set,
  type: one.type,
  needs: one.needs,
  startedAt: one.beganAt.toISOString(),
  startLsn: one.startLsn,
  stopLsn: one.stopLsn,
  timeline: one.timeline,
  problem:
    one.annotations[keys.problem] ?? (one.hasDamagedPages ? 'it holds pages whose checksum did not match when they were copied' : null),
});
