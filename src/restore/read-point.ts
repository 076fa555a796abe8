import type { PointRequest } from '../backups/base/points/point.ts';
import { parseStatement } from '../backups/base/points/statement.ts';
import type { Config } from '../config/config.ts';
import { formatLsn, parseLsn } from '../formats/wal-segment.ts';
import { openForServer } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import { formatMicros } from '../wal/moments/moment.ts';
import { inZone, parseInstant } from './instant.ts';

/** A moment as the command line names it. */
export interface PointFlags {
  readonly to?: string | undefined;
  readonly toLsn?: string | undefined;
  readonly toXid?: string | undefined;
  readonly toName?: string | undefined;
  readonly before?: string | undefined;
  readonly exclusive?: boolean | undefined;
  readonly timeline?: string | undefined;
}

const ASK_MS = 2_000;

/** Undefined where no moment is named. A time without a zone is the server's, else the machine's. Rejects with `usage.invalid`. */
export async function readPoint(
  { config, log }: { readonly config: Config; readonly log: Logger },
  flags: PointFlags,
  signal: AbortSignal,
): Promise<PointRequest | undefined> {
  const named = (['to', 'toLsn', 'toXid', 'toName', 'before'] as const).filter((flag) => flags[flag] !== undefined);
  const [flag] = named;
  if (named.length > 1) throw new DbkitError('usage.invalid', 'name one moment: --to, --to-lsn, --to-xid, --to-name or --before');
  if (flag === undefined) {
    if (flags.exclusive || flags.timeline !== undefined)
      throw new DbkitError('usage.invalid', '--exclusive and --timeline go together with a moment', { hint: 'add --to TIME' });
    return undefined;
  }
  const given = flags[flag]!;
  const common = { exclusive: flags.exclusive ?? false, timeline: timelineOf(flags.timeline) };
  if (flag === 'before') {
    parseStatement(given);
    return { to: 'before', value: given, ...common, exclusive: true };
  }
  if (flag === 'toLsn') return { to: 'lsn', value: lsnOf(given), ...common };
  if (flag === 'toXid') return { to: 'xid', value: String(whole(given, '--to-xid')), ...common };
  if (flag === 'toName') return { to: 'name', value: given, ...common };
  if (given === 'latest') return { to: 'latest', value: '', ...common };
  const zone = await zoneOf(config, signal);
  const micros = parseInstant(given, zone);
  log.info('point.time', `${given} is ${formatMicros(micros)}, ${inZone(micros, zone)}`);
  return { to: 'time', value: micros.toString(), ...common };
}

const timelineOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : whole(text, '--timeline'));

function whole(text: string, flag: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new DbkitError('usage.invalid', `${flag} takes a number, not '${text}'`);
}

function lsnOf(text: string): string {
  try {
    return formatLsn(parseLsn(text));
  } catch (cause) {
    throw new DbkitError('usage.invalid', `'${text}' is not an LSN`, { hint: 'write it as PostgreSQL does, like 0/3000028', cause });
  }
}

/** The zone that the server shows its times in, where it answers and the name is known here; else the machine's. */
async function zoneOf({ postgresql }: Config, signal: AbortSignal): Promise<string> {
  const machine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const session = await openForServer(postgresql, { connectTimeoutMs: ASK_MS, statementTimeoutMs: ASK_MS }, signal).catch(() => undefined);
  signal.throwIfAborted();
  if (!session) return machine;
  const rows = await session
    .query<{ zone: string }>("SELECT setting AS zone FROM pg_settings WHERE name = 'TimeZone'")
    .catch(() => [])
    .finally(() => session.end());
  return rows[0] === undefined || /^(GMT|Etc\/UTC)$/.test(rows[0].zone) ? 'UTC' : rows[0].zone;
}
