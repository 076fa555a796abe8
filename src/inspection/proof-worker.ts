import { serveBatches } from '../machine/thread.ts';
import { proveFile } from './prove-file.ts';

// One thread of a proof: files in, their doubtful pages out.
serveBatches(proveFile);
