import { join } from 'node:path';
import * as v from 'valibot';
import type { Files } from '../kernel/machine.ts';

/** WAL that the archive does not have: no backup before it reaches a moment behind it. */
export interface WalGap {
  readonly timeline: number;
  /** PostgreSQL's notation. */
  readonly fromLsn: string;
  readonly toLsn: string;
  readonly at: string;
}

/** The state of the keeper of the WAL, for `status`, probes and metrics: `<stateDir>/wal.json`, written at every change. */
export interface WalKeepingState {
  readonly systemIdentifier: string;
  readonly timeline: number | null;
  /**
   * `keeping`: all that is durable is in the archive within a poll. `waiting`: a standby, whose WAL is kept once it is promoted. `failing`: it is tried
   * again; `problem` says why. `stopped`: with the server.
   */
  readonly state: 'keeping' | 'waiting' | 'failing' | 'stopped';
  readonly problem: { readonly code: string; readonly message: string; readonly hint: string | null; readonly since: string } | null;
  /** WAL is held back for it by the slot; false where that cannot be, or where it was let go as too much had gathered. */
  readonly guarded: boolean;
  /** Commits wait for the archive (wal.synchronous). */
  readonly synchronous: boolean;
  /** The newest gaps, the last of them last. */
  readonly gaps: readonly WalGap[];
  readonly at: string;
}

const text = v.string();
const schema = v.looseObject({
  schema: v.literal('dbkit.wal-keeping/v1'),
  systemIdentifier: text,
  timeline: v.nullable(v.number()),
  state: v.picklist(['keeping', 'waiting', 'failing', 'stopped']),
  problem: v.nullable(v.object({ code: text, message: text, hint: v.nullable(text), since: text })),
  guarded: v.boolean(),
  synchronous: v.optional(v.boolean(), false),
  gaps: v.array(v.object({ timeline: v.number(), fromLsn: text, toLsn: text, at: text })),
  at: text,
});

const GAPS_MAX = 20;
const pathIn = (stateDir: string): string => join(stateDir, 'wal.json');

/** World-readable, as the supervisor's status is. */
export const publishKeeping = (stateDir: string, state: WalKeepingState, files: Pick<Files, 'publish'>): Promise<void> =>
  files.publish(
    pathIn(stateDir),
    `${JSON.stringify({ schema: 'dbkit.wal-keeping/v1', ...state, gaps: state.gaps.slice(-GAPS_MAX) }, null, 2)}\n`,
  );

/** Undefined where no WAL was ever kept with this state directory. */
export async function readKeeping(stateDir: string, files: Pick<Files, 'readJson'>): Promise<WalKeepingState | undefined> {
  const read = await files.readJson(pathIn(stateDir), (value) => v.parse(schema, value));
  if (read === undefined) return undefined;
  const { schema: _schema, ...state } = read;
  return state;
}
