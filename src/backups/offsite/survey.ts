import { realpath, stat } from 'node:fs/promises';
import type { Config } from '../../config/config.ts';
import type { CopySettings } from '../../config/copies-settings.ts';
import { formatLsn } from '../../formats/wal-segment.ts';
import { fileSystemOf, readMounts } from '../../instance/mounts.ts';
import { isAbort, wordsOf } from '../../kernel/errors.ts';
import { newestFirst } from '../../kernel/labels.ts';
import type { Clock, Files } from '../../kernel/machine.ts';
import { fill } from '../../kernel/reasons.ts';
import { isReachable } from '../../machine/is-there.ts';
import type { Backups } from '../backup.ts';
import { everyBackup } from '../find-backup.ts';
import type { Copies } from './copies.ts';
import { readNotes } from './notes.ts';
import { type CopiesScore, type PlaceFacts, scoreOf, scoreRows } from './score.ts';
import { walStandings } from './standing.ts';

export interface SurveyedPlace extends PlaceFacts {
  /** 'data', 'repository', or the name of the copy. */
  readonly name: string;
  readonly place: string;
  readonly isEncrypted: boolean;
  readonly backups: number;
  readonly newest: { readonly label: string; readonly createdAt: string; readonly verifiedAt: string | null } | null;
  /** Why nothing is known of it. */
  readonly problem: string | null;
  /** Of a copy that gets WAL by itself: how far that is behind the archive here. Null: not known, or no WAL is sent there. */
  readonly wal: { readonly lsn: string | null; readonly bytes: number; readonly seconds: number; readonly failing: string | null } | null;
}

/** JSON of `dbkit copies`; fields are only ever added. */
export interface CopiesReport {
  readonly score: CopiesScore;
  /** Three copies, two media, one elsewhere. */
  readonly ok: boolean;
  readonly advice: readonly { readonly reason: string; readonly because: string; readonly next: string }[];
  readonly places: readonly SurveyedPlace[];
}

interface Needs {
  readonly config: Config;
  readonly backups: readonly Backups[];
  readonly offsite: Pick<Copies, 'list'>;
  readonly files: Pick<Files, 'readJson' | 'write'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Every place that holds the data or a backup of it, asked now. A place that does not answer counts as holding nothing. */
export async function surveyCopies(app: Needs, signal: AbortSignal): Promise<CopiesReport> {
  const { config } = app;
  const wal = await walStandings(app, signal);
  const copies = await Promise.all(
    Object.entries(config.copies).map(async ([name, settings]) => ({
      ...(await copyOf(app, name, settings, signal)),
      wal: walOf(wal.find((one) => one.name === name)),
    })),
  );
  const places = [await dataOf(config), await repositoryOf(app, signal), ...copies];
  const facts = scoreOf(places);
  const { isShared: _isShared, ...score } = facts;
  const advice = scoreRows
    .filter(({ when }) => when(facts))
    .map(({ id, words, next }) => ({ reason: id, because: fill(words, { ...facts }), next }));
  return { score, ok: score.copies >= 3 && score.media >= 2 && score.offHost >= 1, advice, places };
}

const unknown = { backups: 0, newest: null, isEncrypted: false, problem: null, wal: null };

const walOf = (standing: Awaited<ReturnType<typeof walStandings>>[number] | undefined): SurveyedPlace['wal'] =>
  standing?.lag == null
    ? null
    : { lsn: standing.end && formatLsn(standing.end.lsn), ...standing.lag, failing: standing.failing?.message ?? null };

async function dataOf({ postgresql: { dataDir } }: Config): Promise<SurveyedPlace> {
  const medium = await mediumOf(dataDir);
  const holds = await isReachable(`${dataDir}/PG_VERSION`);
  return { ...unknown, name: 'data', role: 'data', place: dataDir, medium, offHost: false, holds };
}

async function repositoryOf({ config: { backupDir }, backups }: Needs, signal: AbortSignal): Promise<SurveyedPlace> {
  const good = (await everyBackup({ backups }, signal)).map(({ backup }) => backup).filter(({ state }) => state !== 'damaged');
  const [newest] = good;
  return {
    ...unknown,
    name: 'repository',
    role: 'repository',
    place: backupDir,
    medium: await mediumOf(backupDir),
    offHost: await isElsewhere(backupDir),
    holds: newest !== undefined,
    backups: good.length,
    newest: newest ? { label: newest.label, createdAt: newest.createdAt, verifiedAt: newest.verifiedAt ?? null } : null,
  };
}

async function copyOf(
  { config, offsite, files }: Needs,
  name: string,
  settings: CopySettings,
  signal: AbortSignal,
): Promise<Omit<SurveyedPlace, 'wal'>> {
  const where =
    settings.type === 'directory'
      ? { place: settings.path, medium: await mediumOf(settings.path), offHost: await isElsewhere(settings.path) }
      : {
          place: `s3://${settings.bucket}/${settings.prefix}`,
          medium: `s3 ${settings.endpoint ?? ''}/${settings.bucket}`,
          offHost: !isLocal(settings.endpoint),
        };
  const known = { name, role: 'copy', ...where, isEncrypted: settings.recipients.length > 0 } as const;
  try {
    const [newest, ...older] = [...(await offsite.list(name, signal))].sort(newestFirst);
    const notes = await readNotes(config.stateDir, name, settings, files);
    const verifiedAt = notes.backups.find(({ label, problem }) => label === newest?.label && problem === null)?.verifiedAt ?? null;
    return {
      ...known,
      problem: null,
      holds: newest !== undefined,
      backups: newest === undefined ? 0 : older.length + 1,
      newest: newest === undefined ? null : { label: newest.label, createdAt: newest.createdAt, verifiedAt },
    };
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    return { ...known, backups: 0, newest: null, holds: false, problem: wordsOf(cause) };
  }
}

/** The file system as the kernel numbers it: two paths with one number go with one disk. */
const mediumOf = (path: string): Promise<string | null> =>
  stat(path).then(
    ({ dev }) => `file system ${dev}`,
    () => null,
  );

/** A file system that another machine serves. */
async function isElsewhere(path: string): Promise<boolean> {
  const kind = fileSystemOf(await readMounts(), await realpath(path).catch(() => path));
  return (
    kind !== undefined && /^(nfs4?|cifs|smb3|ceph|glusterfs|lustre|fuse\.(sshfs|ceph|glusterfs|rclone|s3fs|gcsfuse|juicefs))$/.test(kind)
  );
}

const isLocal = (endpoint: string | undefined): boolean =>
  endpoint !== undefined && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(endpoint).hostname);
