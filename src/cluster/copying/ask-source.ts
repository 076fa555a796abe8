import { readFile } from 'node:fs/promises';
import { type SslMode, sslModes } from '../../config/config.ts';
import { type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import { openAsRole } from '../../instance/sessions.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { parseConninfo, passwordIn } from './conninfo.ts';

/** The member that a replica is to follow, as its server says. */
export interface Source {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly major: number;
  /** It has all WAL from here on: the redo pointer of its last checkpoint (xlog.c, RemoveOldXlogFiles). */
  readonly keepsFrom: Lsn;
}

const LIMIT_MS = 10_000;

/** Functions that every role may call. */
const FACTS = `
  SELECT system_identifier::text AS system, current_setting('server_version_num')::int / 10000 AS major, redo_lsn::text AS redo,
         CASE WHEN pg_is_in_recovery() THEN timeline_id
              ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline
    FROM pg_control_system(), pg_control_checkpoint()`;

/** Asks the server of Patroni's `--connstring`, with the password of PGPASSFILE. Rejects with `service.unready` where it lets nobody in. */
export async function askSource(connstring: string, passwordFile: string | undefined, signal: AbortSignal): Promise<Source> {
  const place = parseConninfo(connstring);
  if (place === undefined)
    throw new DbkitError('usage.invalid', '--connstring names no host', {
      hint: 'see docs/guide/ha.md: it is Patroni that calls this command',
    });
  const passwords = passwordFile === undefined ? '' : await readFile(passwordFile, 'utf8').catch(() => '');
  const sslMode = sslModes.find((mode): mode is SslMode => mode === place.sslMode);
  const target = { ...place, socketDir: place.host, password: passwordIn(passwords, place), sslMode };
  const session = await openAsRole(target, { connectTimeoutMs: LIMIT_MS, statementTimeoutMs: LIMIT_MS }, signal);
  try {
    const [row] = await session.query<{ system: string; major: number; redo: string; timeline: number }>(FACTS);
    return { systemIdentifier: row!.system, timeline: row!.timeline, major: row!.major, keepsFrom: parseLsn(row!.redo) };
  } finally {
    await session.end();
  }
}
