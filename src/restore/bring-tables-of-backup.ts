import type { BackupEngine } from '../backups/backup.ts';
import { findBackup } from '../backups/find-backup.ts';
import type { Copies, TablesReport, TablesRequest } from './copies-contract.ts';

/** Brings single tables of a base backup or a dump into the running server, beside what is there or in their own place where it is free. */
export async function bringTables(
  { engines, copies }: { readonly engines: readonly BackupEngine[]; readonly copies: Copies },
  { label, ...request }: TablesRequest & { readonly label: string },
  signal: AbortSignal,
): Promise<TablesReport> {
  const { backup } = await findBackup({ engines }, label, signal);
  return copies.bringTables(backup, request, signal);
}
