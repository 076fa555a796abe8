import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { redact } from '../../kernel/redact.ts';

const TAIL_BYTES_MAX = 256 * 1024;

/** The output of a server since it was spawned. */
export interface LogTail {
  /** The size now, in bytes: it grows while the server makes progress. */
  size(): Promise<number>;
  /** The lines since the start, the newest 256 KiB of them. */
  lines(): Promise<string[]>;
}

/** Follows `file` from its present end. */
export async function tailFrom(file: string): Promise<LogTail> {
  const size = async (): Promise<number> => (await stat(file).catch(() => undefined))?.size ?? 0;
  const from = await size();
  return { size, lines: () => readLines(file, from) };
}

async function readLines(file: string, from: number): Promise<string[]> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const { size } = await handle.stat();
    const start = Math.max(from, size - TAIL_BYTES_MAX);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.max(0, size - start)), 0, Math.max(0, size - start), start);
    return redact(buffer.subarray(0, bytesRead).toString('utf8')).split('\n').filter(Boolean);
  } catch {
    return []; // A log that cannot be read must not hide the failure it would have explained.
  } finally {
    await handle?.close();
  }
}

/** With logging_collector on, the telling lines are in the newest file of log_directory; empty when there is none. */
export async function collectorLines(dataDir: string, logDirectory: string, sinceMs: number): Promise<string[]> {
  const directory = isAbsolute(logDirectory) ? logDirectory : join(dataDir, logDirectory);
  const names = await readdir(directory).catch(() => []);
  const files = await Promise.all(
    names.map(async (name) => ({ path: join(directory, name), at: (await stat(join(directory, name))).mtimeMs })),
  );
  const newest = files.filter(({ at }) => at >= sinceMs).sort((a, b) => b.at - a.at)[0];
  return newest ? (await readLines(newest.path, 0)).slice(-200) : [];
}

/** The last `count` lines, as a failure shows them. */
export const lastLines = (lines: readonly string[], count = 20): string => lines.slice(-count).join('\n');
