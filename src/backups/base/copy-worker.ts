import { loadZstdSync } from '../../formats/zstd.ts';
import { serveBatches } from '../../machine/thread.ts';
import { copyFile } from '../copy-file.ts';

// One thread of a backup or a restore: files are copied, their digests and damaged pages come out.
serveBatches(copyFile, async (tasks) => {
  if (tasks.some(({ layers, against }) => layers ?? against)) await loadZstdSync();
});
