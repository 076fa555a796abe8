import { serveBatches } from '../../machine/thread.ts';
import { copyFile, prepareCopies } from '../copy-file.ts';

// One thread of a backup or a restore: files are copied, their digests and damaged pages come out.
serveBatches(copyFile, prepareCopies);
