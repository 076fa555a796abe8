import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import type { Logger } from '../kernel/machine.ts';
import { inThreads } from '../machine/threads.ts';
import { type PageResult, type PageTask, readPages } from './read-pages.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

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
        firstBlock: Number(match[3] ?? 0) * control.blocksPerSegment,
        blockSizeBytes: control.blockSizeBytes,
        checksums: control.checksums,
        sizeBytes,
      },
    ];
  });
  const total = tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const damaged: PageResult[] = [];
  let [pages, done] = [0, 0];
  const count = (result: PageResult): void => {
    pages += result.pages;
    done += result.bytes;
    if (result.damaged.length > 0 || result.unreadable !== undefined) damaged.push(result);
    log.progress('pages.verified', 'verifying page checksums', { done, total, unit: 'bytes' });
  };
  await inThreads(tasks, { script: 'page-worker.js', inPlace: readPages, done: count }, signal);
  return { pages, damaged: damaged.sort((a, b) => a.path.localeCompare(b.path)) };
}
