import { stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../../core/config.ts';
import type { Probe, ProbeResult, System } from '../../core/contracts.ts';
import { type DiskSample, remember, secondsUntilFull } from '../../core/disk-trend.ts';
import { errnoOf } from '../../core/errors.ts';
import { bytes, roughly } from '../../core/figures.ts';
import { judge, skipped, worstOf } from '../../core/health.ts';
import { createMemory } from './memory.ts';

interface Volume {
  /** 'data', or 'data, WAL, backups' where one volume holds them all. */
  readonly what: string;
  readonly path: string;
  readonly usedBytes: number;
  readonly freeBytes: number;
  /** As df(1) reckons: what is reserved for root counts as neither. */
  readonly percent: number;
  /** The share of its inodes that is taken, on file systems that have a fixed number of them. */
  readonly inodesPercent: number;
}

type Trends = Readonly<Record<string, readonly DiskSample[]>>;
const trends = v.record(v.string(), v.array(v.object({ atMs: v.number(), usedBytes: v.number() })));

/** How full the volumes under the data, its WAL and the repository are, and when they will be full if they go on growing as they do. */
export function diskProbe({ postgresql, backupDir, stateDir, health }: Config, system: System): Probe {
  const memory = createMemory<Trends>(stateDir, { name: 'disk', schema: trends, mode: 0o644 }, system.files);
  const places = [
    ['data', postgresql.dataDir],
    ['WAL', postgresql.walDir ?? join(postgresql.dataDir, 'pg_wal')],
    ['backups', backupDir],
  ] as const;
  return {
    name: 'disk',
    title: 'volumes',
    async check() {
      const volumes = await volumesOf(places);
      if (volumes.length === 0) return skipped('neither the data nor the repository is on this machine');
      const known: Trends = (await memory.recall()) ?? {};
      const atMs = system.clock.now().getTime();
      const samples: Trends = Object.fromEntries(
        volumes.map(({ path, usedBytes }) => [path, remember(known[path] ?? [], { atMs, usedBytes })]),
      );
      if (JSON.stringify(samples) !== JSON.stringify(known)) await memory.keep(samples);
      const rows = volumes.map((volume) => judgeVolume(volume, samples[volume.path] ?? [], health));
      const status = worstOf(rows.map((row) => row.status));
      return {
        status,
        summary: rows.map(({ summary }) => summary).join('; '),
        hint: rows.find((row) => row.status === status && row.status !== 'ok')?.hint,
        data: rows.map(({ data }) => data),
      };
    },
  };
}

/** How full the volume of a path is in percent, as `df` counts; 0 where it cannot be seen. */
export async function fullnessOf(path: string): Promise<number> {
  const [volume] = await volumesOf([['it', path]]);
  return Math.max(volume?.percent ?? 0, volume?.inodesPercent ?? 0);
}

async function volumesOf(places: readonly (readonly [what: string, path: string])[]): Promise<Volume[]> {
  const found = new Map<number, Volume>();
  for (const [what, wanted] of places) {
    const path = await nearestExisting(wanted);
    if (path === undefined) continue;
    const [{ dev }, volume] = await Promise.all([stat(path), statfs(path)]);
    const same = found.get(dev);
    const used = volume.blocks - volume.bfree;
    found.set(dev, {
      what: same ? `${same.what}, ${what}` : what,
      path: same?.path ?? path,
      usedBytes: used * volume.bsize,
      freeBytes: volume.bavail * volume.bsize,
      percent: Math.ceil((100 * used) / Math.max(1, used + volume.bavail)),
      inodesPercent: volume.files > 0 ? Math.ceil((100 * (volume.files - volume.ffree)) / volume.files) : 0,
    });
  }
  return [...found.values()];
}

/** A repository that has not been made yet will be on its parent's volume; what this user may not enter is left out. */
async function nearestExisting(path: string): Promise<string | undefined> {
  for (let at = path; ; at = dirname(at)) {
    const errno = await stat(at).then(
      () => undefined,
      (cause: unknown) => errnoOf(cause),
    );
    if (errno === undefined) return at;
    if (errno !== 'ENOENT' || at === dirname(at)) return undefined;
  }
}

function judgeVolume(volume: Volume, samples: readonly DiskSample[], { disk, diskFullWithinHours }: Config['health']): ProbeResult {
  const { what, path, percent, inodesPercent, freeBytes, usedBytes } = volume;
  const seconds = secondsUntilFull(samples, freeBytes);
  const soon = seconds !== undefined && seconds < diskFullWithinHours * 3600;
  const isInodes = inodesPercent > percent && judge(inodesPercent, disk) !== 'ok';
  const judged = judge(isInodes ? inodesPercent : percent, disk);
  const full = isInodes ? `${inodesPercent} % of the inodes taken` : `${percent} % full, ${bytes(freeBytes)} free`;
  return {
    status: judged === 'ok' && soon ? 'warning' : judged,
    summary: `${what}: ${full}${soon || (seconds !== undefined && judged !== 'ok') ? `, full in ${roughly(seconds)} at this rate` : ''}`,
    hint: `free some space below ${path}, or enlarge its volume; \`dbkit maintenance cleanup\` removes backups that are no longer kept`,
    data: { what, path, usedBytes, freeBytes, percent, inodesPercent, secondsUntilFull: seconds ?? null },
  };
}
