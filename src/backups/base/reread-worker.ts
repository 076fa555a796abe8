import { loadZstdSync } from '../../formats/zstd.ts';
import { serveBatches } from '../../machine/thread.ts';
import { reread } from './reread.ts';

// One thread of `backup verify`: files in, what was found in them out.
serveBatches(reread, async (tasks) => {
  if (tasks.some(({ layers }) => layers)) await loadZstdSync();
});
