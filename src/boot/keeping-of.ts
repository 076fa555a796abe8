import type { Config, PostgresqlSettings } from '../config/config.ts';
import { dataOf, openForServer } from '../instance/sessions.ts';
import { openWalStream, type WalStream } from '../instance/wal-stream.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { sizeBytes } from '../kernel/units.ts';
import type { StreamStart, WalKeeping } from '../wal/keeper-life.ts';
import { OWN_SLOT } from '../wal/slot.ts';

/** The server whose WAL is kept, whoever runs it. */
export interface KeptServer {
  readonly system: System;
  readonly settings: PostgresqlSettings;
  readonly stateDir: string;
  readonly backupDir: string;
  readonly dataDir: string;
  readonly owner: Identity;
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
}

const QUESTION_MS = 10_000;

/** All that a keeper of WAL needs. */
export function keepingOf(
  { settings, backupDir, ...server }: KeptServer,
  { wal }: Pick<Config, 'wal'>,
  wantBackup: WalKeeping['wantBackup'] = () => undefined,
): WalKeeping {
  const limits = { statementTimeoutMs: QUESTION_MS, lockTimeoutMs: QUESTION_MS };
  return {
    ...server,
    repositoryDir: backupDir,
    pollMs: wal.pollSeconds * 1000,
    maxLagBytes: sizeBytes(wal.maxLag),
    backupAfterBytes: sizeBytes(wal.backupAfter),
    connect: (signal) => openForServer(settings, limits, signal),
    openStream: wal.synchronous ? (at, signal) => streamOf(settings, at, signal) : undefined,
    wantBackup,
  };
}

function streamOf(settings: PostgresqlSettings, at: StreamStart, signal: AbortSignal): Promise<WalStream> {
  const { socketDir, port, superuser: user, superuserPassword } = settings;
  const target = { socketDir, port, user, database: user, password: superuserPassword?.reveal(), dataDir: dataOf(settings) };
  return openWalStream(target, { ...at, name: OWN_SLOT, timeoutMs: QUESTION_MS }, signal);
}
