import { stat } from 'node:fs/promises';
import { type Finding, isOf } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { findingKey, type Source } from './plan.ts';
import { wholeFiles } from './remedy.ts';
import type { BackedUpFile } from './set-aside.ts';

export const isWholeFile = ({ code }: Finding): boolean => (wholeFiles as readonly string[]).includes(code);

/** Files that PostgreSQL makes again by itself, and no backup holds. */
const rebuilt = /(^|\/)pg_internal\.init(\.\d+)?$/;

/**
 * Findings that the newest backup can make good alone: it holds every file that the last clean shutdown left there, byte for byte, or the very
 * WAL segment.
 */
export async function filesInBackup(
  source: Source | undefined,
  inspection: Inspection,
  findings: readonly Finding[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly BackedUpFile[]>> {
  const found = new Map<string, readonly BackedUpFile[]>();
  for (const finding of findings.filter(({ code }) => isOf(code, 'wal'))) {
    const name = /^pg_wal\/([0-9A-F]{24})$/.exec(finding.path)?.[1];
    const from = name && source ? await source.of.walSegment(source.backup, name, signal) : undefined;
    if (from) found.set(findingKey(finding), [{ path: finding.path, from, ...(await statOf(from)) }]);
  }
  const wanted = new Map(
    findings.filter(isWholeFile).map((finding) => {
      return [findingKey(finding), inspection.lastKnown(finding.path).filter(({ path }) => !rebuilt.test(path))] as const;
    }),
  );
  const files = [...wanted.values()].flat();
  const same = files.length > 0 && source ? await source.of.sameFiles(source.backup, files, signal).catch(unlessOwnTrouble) : undefined;
  signal.throwIfAborted();
  for (const [key, all] of wanted)
    if (same && all.length > 0 && all.every(({ path }) => same.has(path)))
      found.set(
        key,
        all.map((file) => ({ ...file, ...same.get(file.path)! })),
      );
  return found;
}

async function statOf(path: string): Promise<{ sizeBytes: number; mtimeMs: number }> {
  const { size: sizeBytes, mtimeMs } = await stat(path);
  return { sizeBytes, mtimeMs };
}
