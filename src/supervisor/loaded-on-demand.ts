import { createCopies } from '../restore/copies.ts';
import { createGameDays } from '../restore/game-days/rehearse.ts';
import { createKeptWal } from '../restore/kept-wal.ts';
import { createRestorer } from '../restore/restorer.ts';
import { createSalvage } from '../salvage/salvage-data.ts';
import { createUpgrade } from '../upgrade/upgrade.ts';
import { createUpkeep } from '../upkeep/upkeep.ts';

/** Modules that a plain start never asks for, loaded together: each further chunk of the bundle costs a start a millisecond. */
export const onDemand = { createCopies, createGameDays, createKeptWal, createRestorer, createSalvage, createUpgrade, createUpkeep };
