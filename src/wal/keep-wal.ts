import { join } from 'node:path';
import { type Lsn, parseLsn, timelineOfHistory } from '../formats/wal-segment.ts';
import type { Connection } from '../instance/connection.ts';
import type { WalStream } from '../instance/wal-stream.ts';
import { DbkitError } from '../kernel/errors.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { claimArchive } from './claim.ts';
import { copyUpTo, type Line } from './copy-wal.ts';
import { fail, guard, holdOrLetGo, type Life, newLife, noteGap, publish, type WalKeeping } from './keeper-life.ts';
import { readKeeping } from './keeping.ts';
import { openPgWal } from './pg-wal.ts';
import { HISTORY_BYTES_MAX, readKept } from './read-kept.ts';
import { resume } from './resume.ts';
import { advanceSlot } from './slot.ts';

const WAITING_MS = 2_000;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** A server that is asked although its WAL seems untouched: a file system's clock may stand still. */
const LOOK_EVERY_MS = 2_000;
/** Two writes within a tick of that clock bear one time. */
const TICK_MS = 50;

/**
 * Keeps the WAL of a server in the archive as it becomes durable: whole segments, and the bytes of the unfinished one. Ends with the server; never
 * rejects. A failure is told once, and it is tried again: the server never waits for it.
 */
export async function keepWal(needs: WalKeeping, child: { readonly exited: Promise<unknown> }): Promise<void> {
  const ended = new AbortController();
  void child.exited.then(() => ended.abort());
  const { clock } = needs.system;
  const before = await readKeeping(needs.stateDir, needs.system.files).catch(() => undefined);
  const gaps = before?.systemIdentifier === needs.systemIdentifier ? before.gaps : [];
  const life = newLife(needs, gaps);
  let pauseMs = needs.pollMs;
  while (!ended.signal.aborted) {
    try {
      await withSession(life, ended.signal);
      pauseMs = needs.pollMs;
    } catch (cause) {
      pauseMs = life.problem === null || needs.openStream ? RETRY_MS : Math.min(RETRY_MAX_MS, pauseMs * 2); // Commits wait for it there.
      if (!ended.signal.aborted) await fail(life, cause);
    }
    await letGoOfLine(life);
    await clock.sleep(pauseMs, ended.signal).catch(() => undefined);
  }
  await letGoOfLine(life);
  await life.lock?.release();
  life.state = 'stopped';
  await publish(life);
}

async function letGoOfLine(life: Life): Promise<void> {
  await life.line?.tail?.close().catch(() => undefined);
  life.line = undefined;
}

async function withSession(life: Life, signal: AbortSignal): Promise<void> {
  const { needs } = life;
  const session = await needs.connect(signal);
  let stream: WalStream | undefined;
  try {
    const timeline = await untilPrimary(life, session, signal);
    await begin(life, session, timeline, signal);
    stream = await needs.openStream?.({ from: await flushedOf(session), timeline }, signal);
    const isDue = stream ? sentMore(life, stream) : touched(life);
    let askedMs = 0;
    while (!(await isStopping(needs.dataDir))) {
      const nowMs = needs.system.clock.monotonicMs();
      if ((await isDue()) || nowMs - askedMs > LOOK_EVERY_MS) {
        await round(life, session, stream?.sentLsn() ?? (await flushedOf(session)), signal);
        askedMs = nowMs;
      }
      stream?.confirm(keptUpTo(life.line!), needs.system.clock.now());
      await (stream ? stream.more(needs.pollMs, signal) : needs.system.clock.sleep(needs.pollMs, signal));
    }
  } finally {
    await Promise.all([stream?.end(), session.end()]);
  }
}

const keptUpTo = ({ segmentLsn, tailBytes }: Line): Lsn => segmentLsn + BigInt(tailBytes);

const sentMore = (life: Life, stream: WalStream) => async (): Promise<boolean> => stream.sentLsn() > keptUpTo(life.line!);

/** The segment that is written has other times than at the last look. */
function touched(life: Life): () => Promise<boolean> {
  let stamp = '';
  return async () => {
    const { clock } = life.needs.system;
    const seen = await life.line!.wal.stampAt(keptUpTo(life.line!));
    const isTouched = seen === undefined || seen.text !== stamp;
    const isSettled = seen !== undefined && clock.now().getTime() - seen.modifiedMs > TICK_MS;
    stamp = isSettled ? seen.text : '';
    return isTouched;
  };
}

/** A smart shutdown waits for every session, and for this one it would wait for ever. */
async function isStopping(dataDir: string): Promise<boolean> {
  const text = await readPlainText(join(dataDir, 'postmaster.pid')).catch(() => '');
  return text.split('\n')[7]?.trim() === 'stopping';
}

/** A primary's timeline. A standby gets its WAL from elsewhere, and keeps it once it writes its own. */
async function untilPrimary(life: Life, session: Connection, signal: AbortSignal): Promise<number> {
  for (;;) {
    const [row] = await session.query<{ recovering: boolean; level: string }>(
      `SELECT pg_is_in_recovery() AS recovering, current_setting('wal_level') AS level`,
    );
    if (row?.level === 'minimal')
      throw new DbkitError('server.settings', 'wal_level is minimal, so the WAL does not hold all that is written', {
        hint: 'set wal_level to replica and restart the server; until then nothing is kept',
      });
    if (row?.recovering === false) break;
    life.state = 'waiting';
    await publish(life);
    await life.needs.system.clock.sleep(WAITING_MS, signal);
  }
  const [row] = await session.query<{ name: string }>('SELECT pg_walfile_name(pg_current_wal_flush_lsn()) AS name');
  return Number.parseInt(row!.name.slice(0, 8), 16);
}

const flushedOf = async (session: Connection): Promise<Lsn> =>
  parseLsn((await session.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn'))[0]!.lsn);

/** Finds where the archive goes on, and takes hold of what it needs. */
async function begin(life: Life, session: Connection, timeline: number, signal: AbortSignal): Promise<void> {
  const { needs, writer } = life;
  const { systemIdentifier, segmentSizeBytes, maxLagBytes } = needs;
  life.lock ??= await claimArchive(writer.dir, needs);
  const identity = { systemIdentifier, segmentSizeBytes, timeline };
  const wal = openPgWal(join(needs.dataDir, 'pg_wal'), identity);
  for (const name of await wal.histories())
    await writer.keepHistory(timelineOfHistory(name)!, await readKept(join(wal.directory, name), HISTORY_BYTES_MAX));
  if (life.problem === null) await guard(life, session); // Before anything else is written: else what is to be kept may be gone by then.
  const flushedLsn = await flushedOf(session);
  const { segmentLsn, tailBytes, gapFrom } = await resume(writer, wal, { identity, flushedLsn, catchUpBytes: BigInt(maxLagBytes) }, signal);
  life.gap = gapFrom === undefined ? undefined : { timeline, from: gapFrom, to: segmentLsn };
  life.line = { wal, segmentSizeBytes, segmentLsn, tailBytes, tail: undefined };
}

async function round(life: Life, session: Connection, flushedLsn: Lsn, signal: AbortSignal): Promise<void> {
  const { needs, writer } = life;
  const line = life.line!;
  await holdOrLetGo(life, session, flushedLsn);
  const before = line.segmentLsn;
  if (!(await copyUpTo(line, writer, flushedLsn, signal))) {
    await letGoOfLine(life);
    return begin(life, session, Number.parseInt(line.wal.nameAt(before).slice(0, 8), 16), signal);
  }
  if (life.gap) noteGap(life, life.gap);
  if (line.segmentLsn > before) {
    if (life.guarded) await advanceSlot(session, line.segmentLsn).catch(() => guard(life, session)); // Lost meanwhile: then a new one.
    life.keptBytes += Number(line.segmentLsn - before);
  }
  if (life.keptBytes > needs.backupAfterBytes) {
    life.keptBytes = 0;
    needs.wantBackup('grown');
  }
  if (life.problem !== null) needs.system.log.info('wal.kept-again', 'the WAL is kept in the archive again');
  life.problem = null;
  life.state = 'keeping';
  await publish(life);
}
