import { resolve } from 'node:path';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { findDamaged } from './find-damaged.ts';
import type { Salvage } from './report.ts';
import { salvage } from './salvage.ts';

/** Works on a copy of the damaged data, which is only read. */
export const createSalvage =
  (options: PostgresqlOptions): Salvage =>
  async (source, signal) =>
    salvage(options, await findDamaged(options.config, source === undefined ? undefined : resolve(source)), signal);
