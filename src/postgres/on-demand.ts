import { createCopyEngine } from './backup/copy-engine.ts';
import { createDumpEngine } from './dump/dump-engine.ts';
import { createCopies } from './restore/copies.ts';
import { createRestorer } from './restore/restorer.ts';
import { createUpkeep } from './upkeep/upkeep.ts';

/** What a plain start never asks for, loaded together: each further chunk of the bundle costs a start a millisecond. */
export const onDemand = { createCopyEngine, createDumpEngine, createCopies, createRestorer, createUpkeep };
