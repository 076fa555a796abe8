import { createBaseBackups } from './base/base-backups.ts';
import { createDumps } from './dump/dumps.ts';

/** Both kinds in one chunk of the bundle: each further one costs a start a millisecond. */
export const onDemand = { createBaseBackups, createDumps };
