import { serveBatches } from '../thread.ts';
import { reread } from './reread.ts';

// One thread of `backup verify`: files in, what was found in them out.
serveBatches(reread);
