import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../../config/config.ts';
import type { System } from '../../kernel/machine.ts';
import { bytes, roughly } from '../../kernel/units.ts';
import { type Volume, volumesOf } from '../../machine/disk-usage.ts';
import { type DiskSample, remember, secondsUntilFull } from '../disk-growth.ts';
import type { VolumeFacts } from '../facts.ts';
import { judge, skipped, worstOf } from '../health.ts';
import type { ProbeOf, ProbeResult } from '../probe.ts';
import { createMemory } from './memory.ts';

type Trends = Readonly<Record<string, readonly DiskSample[]>>;
const trends = v.record(v.string(), v.array(v.object({ atMs: v.number(), usedBytes: v.number() })));

/** How full the volumes under the data, its WAL and the repository are, and when they will be full if they go on growing as they do. */
export function diskProbe({ postgresql, backupDir, stateDir, health }: Config, system: System): ProbeOf<'disk'> {
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

function judgeVolume(
  volume: Volume,
  samples: readonly DiskSample[],
  { disk, diskFullWithinHours }: Config['health'],
): ProbeResult<VolumeFacts> & { readonly data: VolumeFacts } {
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
