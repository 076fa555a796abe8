import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lsn, parseLsn, timelineOfHistory } from '../../formats/wal-segment.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import { readCluster } from './cluster.ts';
import type { BackupRecord } from './record.ts';

/** Where a timeline's ancestors were left, by timeline (timeline.c, readTimeLineHistory: `parent <tab> switchpoint <tab> reason`). */
export type Ancestry = ReadonlyMap<number, Lsn>;

export function parseHistory(text: string): Ancestry {
  const lines = text.split('\n').map((line) => /^\s*(\d+)\s+([0-9A-F]{1,8}\/[0-9A-F]{1,8})/i.exec(line));
  return new Map(lines.flatMap((match) => (match ? [[Number(match[1]), parseLsn(match[2]!)] as const] : [])));
}

interface Today {
  readonly timeline: number;
  /** Undefined when the history file is gone. */
  readonly ancestry: Ancestry | undefined;
}

/** True if a cluster on `today` has ever been where the backup ends. Pure. */
export function isAncestor({ timeline, stopLsn }: Pick<BackupRecord, 'timeline' | 'stopLsn'>, today: Today): boolean {
  if (timeline === today.timeline) return true;
  if (timeline > today.timeline) return false; // Made after a restore that has been undone.
  if (!today.ancestry) return true; // Nobody can tell any more.
  const left = today.ancestry.get(timeline);
  return left !== undefined && parseLsn(stopLsn) <= left;
}

/**
 * True if the data in `dataDir` descends from the backup: after a restore, newer backups of the abandoned timeline are somebody's past, but not
 * its own. True where nothing can be said. Rejects where dbkit is short of descriptors.
 */
export async function descendsFrom(
  record: Pick<BackupRecord, 'systemIdentifier' | 'timeline' | 'stopLsn'>,
  dataDir: string,
  signal: AbortSignal,
): Promise<boolean> {
  const cluster = await readCluster(dataDir, signal).catch(unlessOwnTrouble);
  signal.throwIfAborted();
  if (cluster && cluster.systemIdentifier !== record.systemIdentifier) return true;
  const names = (await readdir(join(dataDir, 'pg_wal')).catch(unlessOwnTrouble)) ?? [];
  const newest = names.map(timelineOfHistory).reduce<number>((highest, timeline) => Math.max(highest, timeline ?? 1), 1);
  const timeline = cluster?.timeline ?? newest;
  const file = names.find((name) => timelineOfHistory(name) === timeline);
  const text = file && (await readPlainText(join(dataDir, 'pg_wal', file)).catch(unlessOwnTrouble));
  if (!cluster && timeline === 1) return true; // Neither pg_control nor a history says where it was.
  return isAncestor(record, { timeline, ancestry: text === undefined ? undefined : parseHistory(text) });
}
