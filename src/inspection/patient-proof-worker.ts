import { setPriority } from 'node:os';
import { serveBatches } from '../machine/thread.ts';
import { proveFile } from './prove-file.ts';

// A thread that lets everybody else go first: 0 is the calling thread (setpriority(2), Linux).
setPriority(0, 19);
serveBatches(proveFile);
