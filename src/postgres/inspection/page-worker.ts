import { parentPort } from 'node:worker_threads';
import { type PageTask, readPages } from './read-pages.ts';

// One thread of `inspect --deep`: a file in, its damaged pages out.
parentPort?.on('message', (task: PageTask) => {
  parentPort?.postMessage(readPages(task));
});
