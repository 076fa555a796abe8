import { resolve } from 'node:path';
import type { App } from '../core/app.ts';
import type { SalvageReport } from '../core/salvage.ts';

/** Reads what can be read out of damaged data, on a copy of it, into a dump that can be restored. */
export const salvageData = (
  { instance }: Pick<App, 'instance'>,
  directory: string | undefined,
  signal: AbortSignal,
): Promise<SalvageReport> => instance.copies.salvage(directory === undefined ? undefined : resolve(directory), signal);
