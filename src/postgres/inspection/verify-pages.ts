import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from '../../core/contracts.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { type PageResult, type PageTask, readPages } from './read-pages.ts';
import type { Walk } from './walk.ts';

const RELATION = /^(?:global|base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/;

export interface VerifiedPages {
  readonly pages: number;
  readonly damaged: readonly PageResult[];
}

/** Every page of every relation file, in as many threads as there are processors; the main thread only deals out and counts. */
export async function verifyPages(
  dataDir: string,
  { entries }: Walk,
  control: ControlFile,
  log: Logger,
  signal: AbortSignal,
): Promise<VerifiedPages> {
  const tasks = [...entries.values()].flatMap(({ path, kind, sizeBytes }): (PageTask & { sizeBytes: number })[] => {
    const match = kind === 'file' ? RELATION.exec(path) : null;
    if (!match) return [];
    return [
      {
        file: join(dataDir, path),
        path,
        firstBlock: Number(match[1] ?? 0) * control.blocksPerSegment,
        blockSizeBytes: control.blockSizeBytes,
        sizeBytes,
      },
    ];
  });
  tasks.sort((a, b) => a.sizeBytes - b.sizeBytes); // Taken from the end: large files first, so that no thread is left with one at the end.
  const total = tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const damaged: PageResult[] = [];
  let [pages, done] = [0, 0];
  const count = (result: PageResult): void => {
    pages += result.pages;
    done += result.bytes;
    if (result.damaged.length > 0 || result.unreadable !== undefined) damaged.push(result);
    log.progress('pages.verified', 'verifying page checksums', { done, total, unit: 'bytes' });
  };
  const script = new URL('../page-worker.js', import.meta.url); // dist/page-worker.js, seen from dist/chunks.
  if (!existsSync(script)) {
    for (let task = tasks.pop(); task; task = tasks.pop()) {
      signal.throwIfAborted();
      count(readPages(task));
    }
  } else
    await Promise.all(
      Array.from({ length: Math.min(availableParallelism(), tasks.length) }, () => serve(new Worker(script), tasks, count, signal)),
    );
  return { pages, damaged: damaged.sort((a, b) => a.path.localeCompare(b.path)) };
}

/** Hands one thread a file after the other until there are none. */
async function serve(worker: Worker, tasks: PageTask[], count: (result: PageResult) => void, signal: AbortSignal): Promise<void> {
  try {
    for (let task = tasks.pop(); task; task = tasks.pop()) {
      signal.throwIfAborted();
      worker.postMessage(task);
      const [result] = (await once(worker, 'message', { signal })) as [PageResult];
      count(result);
    }
  } finally {
    await worker.terminate();
  }
}
