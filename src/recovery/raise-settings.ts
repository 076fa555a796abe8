import { join } from 'node:path';
import { settingOf } from '../formats/conf.ts';
import { type ControlFile, parseControlFile } from '../formats/control-file.ts';
import { keptPath } from '../inspection/kept.ts';
import type { Local } from '../instance/local.ts';
import { unlessMissing } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlain, readPlainText } from '../machine/plain-file.ts';

/** The settings that pg_control remembers of the server that wrote it, by setting, with the server's default (guc_tables.c). */
const remembered: readonly (readonly [name: string, of: (settings: ControlFile['settings']) => number, byDefault: number])[] = [
  ['max_connections', ({ maxConnections }) => maxConnections, 100],
  ['max_worker_processes', ({ maxWorkerProcesses }) => maxWorkerProcesses, 8],
  ['max_wal_senders', ({ maxWalSenders }) => maxWalSenders, 10],
  ['max_prepared_transactions', ({ maxPreparedXacts }) => maxPreparedXacts, 0],
  ['max_locks_per_transaction', ({ maxLocksPerXact }) => maxLocksPerXact, 64],
];

/**
 * WAL that was written with larger limits cannot be replayed with smaller ones (a prepared transaction that finds no room ends the recovery), so
 * a staged cluster gets at least what the backup, today's pg_control and the kept one remember. Lines above what the restore itself appends.
 */
export async function raiseSettings({ volume, stateDir, owner, system }: Local, staged: string): Promise<void> {
  const places = [staged, volume.dataDir].map((directory) => join(directory, 'global/pg_control'));
  const controls = await Promise.all([...places, keptPath(stateDir, 'global/pg_control')].map(readControl));
  const ours = controls.filter((control) => control !== undefined && control.systemIdentifier === controls[0]?.systemIdentifier);
  const lines: string[] = [];
  for (const [name, of, byDefault] of remembered) {
    const needed = Math.max(...ours.map((control) => of(control!.settings)), 0);
    const set = Number((await settingOf(staged, name)) ?? byDefault);
    if (needed > set) lines.push(`${name} = '${needed}'`);
  }
  if (lines.length === 0) return;
  const path = join(staged, 'postgresql.auto.conf');
  const text = (await readPlainText(path).catch(unlessMissing)) ?? '';
  const at = text.search(/\n# dbkit restore: /);
  const [own, rest] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at)];
  await system.files.write(path, `${own.trimEnd()}\n${lines.join('\n')}\n${rest}`, { mode: 0o600, owner });
  system.log.info('restore.settings-raised', `the WAL was written with larger limits than are set: ${lines.join(', ')}`);
}

async function readControl(path: string): Promise<ControlFile | undefined> {
  const bytes = await readPlain(path).catch(unlessOwnTrouble);
  const read = bytes && parseControlFile(bytes);
  return read && 'control' in read ? read.control : undefined;
}
