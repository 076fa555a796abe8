import { createCopyEngine } from './base/copy-engine.ts';
import { createDumpEngine } from './dump/dump-engine.ts';

/** Loaded together with the first backup that anybody asks for: each further chunk of the bundle costs a start a millisecond. */
export const onDemand = { createCopyEngine, createDumpEngine };
