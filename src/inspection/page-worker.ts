import { serveBatches } from '../machine/thread.ts';
import { readPages } from './read-pages.ts';

// One thread of `inspect --deep`: files in, their damaged pages out.
serveBatches(readPages);
