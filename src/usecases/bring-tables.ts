import type { App } from '../core/app.ts';
import type { TablesReport, TablesRequest } from '../core/copies.ts';
import { findBackup } from './find-backup.ts';

/** Brings single tables of a base backup or a dump into the running server, beside what is there or in their own place where it is free. */
export async function bringTables(
  { engines, instance }: Pick<App, 'engines' | 'instance'>,
  { label, ...request }: TablesRequest & { readonly label: string },
  signal: AbortSignal,
): Promise<TablesReport> {
  const { backup } = await findBackup({ engines }, label, signal);
  return instance.copies.bringTables(backup, request, signal);
}
