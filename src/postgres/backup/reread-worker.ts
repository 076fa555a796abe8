import { parentPort } from 'node:worker_threads';
import { type RereadTask, reread } from './reread.ts';

// One thread of `backup verify`: a file in, its digest out.
parentPort?.on('message', (task: RereadTask) => {
  parentPort?.postMessage(reread(task));
});
