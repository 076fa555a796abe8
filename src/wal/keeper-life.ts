import { formatLsn, type Lsn } from '../formats/wal-segment.ts';
import { type Connection, sqlStateOf } from '../instance/connection.ts';
import type { WalStream } from '../instance/wal-stream.ts';
import { isAbort, toFailure } from '../kernel/errors.ts';
import type { HeldLock, Identity, System } from '../kernel/machine.ts';
import type { Line } from './copy-wal.ts';
import { publishKeeping, type WalGap, type WalKeepingState } from './keeping.ts';
import { dropSlot, makeSlot, requireLimit, slotHolds } from './slot.ts';
import { type ArchiveWriter, openWriter } from './writer.ts';

export interface WalKeeping {
  readonly system: System;
  readonly repositoryDir: string;
  readonly stateDir: string;
  readonly dataDir: string;
  readonly owner: Identity;
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
  readonly pollMs: number;
  /** Beyond it WAL is no longer held back: the volume of the data must not fill. */
  readonly maxLagBytes: number;
  /** After so much WAL a base backup is wanted, so that the archive does not grow without end. */
  readonly backupAfterBytes: number;
  /** A slot is made only where the server limits what slots hold: whoever is gone cannot let go of his. */
  readonly isLimited?: boolean | undefined;
  connect(signal: AbortSignal): Promise<Connection>;
  /** Given where commits wait for the archive: by it they learn how far that is. */
  readonly openStream?: ((at: StreamStart, signal: AbortSignal) => Promise<WalStream>) | undefined;
  wantBackup(reason: 'gap' | 'grown'): void;
}

/** Where a stream of WAL begins. */
export interface StreamStart {
  readonly from: Lsn;
  readonly timeline: number;
}

/** The keeper's life, as the functions below change it. */
export interface Life {
  readonly needs: WalKeeping;
  readonly writer: ArchiveWriter;
  readonly gaps: WalGap[];
  /** One that counts once something behind it is kept: until then what is missing may grow. */
  gap: { readonly timeline: number; readonly from: Lsn; readonly to: Lsn } | undefined;
  lock: HeldLock | undefined;
  line: Line | undefined;
  state: WalKeepingState['state'];
  problem: WalKeepingState['problem'];
  guarded: boolean;
  published: string;
  /** Since a backup was wanted last. */
  keptBytes: number;
}

/** The life of a keeper that has done nothing yet; `gaps` are those of the run before. */
export const newLife = (needs: WalKeeping, gaps: readonly WalGap[]): Life => ({
  needs,
  writer: openWriter({ ...needs, files: needs.system.files }),
  gaps: [...gaps],
  gap: undefined,
  lock: undefined,
  line: undefined,
  state: 'keeping',
  problem: null,
  guarded: false,
  published: '',
  keptBytes: 0,
});

/** Without a slot it goes on unguarded: WAL is copied well before a checkpoint removes it, unless the archive cannot be written for a while. */
export async function guard(life: Life, session: Connection): Promise<void> {
  try {
    if (life.needs.isLimited) await requireLimit(session);
    life.guarded = (await slotHolds(session)) !== undefined || (await makeSlot(session)) !== undefined;
  } catch (cause) {
    if (isAbort(cause) || isOfTheSession(cause)) throw cause; // The server ends, or the session does: that is no trouble of the slot's.
    if (life.guarded || life.published === '')
      life.needs.system.log.warn('wal.unguarded', `no replication slot holds WAL back for the archive: ${toFailure(cause).message}`);
    life.guarded = false;
  }
}

export function noteGap(life: Life, { timeline, from, to }: NonNullable<Life['gap']>): void {
  const { clock, log } = life.needs.system;
  life.gap = undefined;
  const gap = { timeline, fromLsn: formatLsn(from), toLsn: formatLsn(to), at: clock.now().toISOString() };
  life.gaps.push(gap);
  log.error(
    'wal.gap',
    `the WAL between LSN ${gap.fromLsn} and ${gap.toLsn} was removed before it was archived: older backups cannot be restored to a moment after it; a new base backup closes the gap`,
    { timeline, fromLsn: gap.fromLsn, toLsn: gap.toLsn },
  );
  life.needs.wantBackup('gap');
}

export async function holdOrLetGo(life: Life, session: Connection, flushedLsn: Lsn): Promise<void> {
  const { line, needs } = life;
  const lagBytes = Number(flushedLsn - line!.segmentLsn) - line!.tailBytes;
  if (lagBytes <= needs.maxLagBytes) {
    if (!life.guarded && life.problem === null && life.published !== '') await guard(life, session);
    return;
  }
  if (!life.guarded) return;
  await dropSlot(session);
  life.guarded = false;
  needs.system.log.error(
    'wal.let-go',
    `the archive is ${lagBytes} bytes behind, so its replication slot was dropped: the data volume must not fill`,
    {
      lagBytes,
      maxLagBytes: needs.maxLagBytes,
    },
  );
}

/** admin_shutdown, crash_shutdown, cannot_connect_now (errcodes.txt): whoever stops the server says so himself. */
const STOPPING = /^57P0[123]$/;
const isOfTheSession = (cause: unknown): boolean => toFailure(cause).code === 'service.unready' || STOPPING.test(sqlStateOf(cause) ?? '');

export async function fail(life: Life, cause: unknown): Promise<void> {
  const { clock, log } = life.needs.system;
  const { code, message, hint } = toFailure(cause);
  const isNews = life.problem?.code !== code || life.problem.message !== message;
  life.problem = { code, message, hint, since: isNews ? clock.now().toISOString() : life.problem!.since };
  life.state = 'failing';
  if (isNews && !isOfTheSession(cause))
    log.error('wal.failing', `the WAL is not kept in the archive: ${message}; it is tried again${hint === null ? '' : ` (${hint})`}`, {
      code,
    });
  await publish(life);
}

/** Only what is news is written. */
export async function publish(life: Life): Promise<void> {
  const { needs, line, state, problem, guarded, gaps } = life;
  const { systemIdentifier, stateDir, system } = needs;
  const timeline = line === undefined ? null : Number.parseInt(line.wal.nameAt(line.segmentLsn).slice(0, 8), 16);
  const synchronous = needs.openStream !== undefined;
  const now = { systemIdentifier, timeline, state, problem, guarded, synchronous, gaps };
  const text = JSON.stringify(now);
  if (text === life.published) return;
  life.published = text;
  await publishKeeping(stateDir, { ...now, at: system.clock.now().toISOString() }, system.files).catch(() => {
    life.published = '';
  });
}
