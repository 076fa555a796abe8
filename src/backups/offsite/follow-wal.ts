import { formatLsn } from '../../formats/wal-segment.ts';
import { isAbort, wordsOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { readKeeping } from '../../wal/keeping.ts';
import { readCluster } from '../base/cluster.ts';
import type { Copies, CopiesNeeds } from './copies.ts';
import { holdWalOfCopy } from './copy-lock.ts';
import { readNotes } from './notes.ts';
import { type CopySummary, type Place, requireOwn } from './place.ts';
import { openWalSender, type WalSender } from './send-wal.ts';
import { openSources } from './sources.ts';
import { readWalNotes, type WalNotes, writeWalNotes } from './wal-notes.ts';

/** WAL that was sent to one place. */
export interface SentToCopy {
  readonly copy: string;
  readonly place: string;
  /** In the archive here. */
  readonly segments: number;
  readonly sentObjects: number;
  readonly sentBytes: number;
  /** All that the archive had is there, up to this point; null where nothing is kept here yet. */
  readonly end: { readonly timeline: number; readonly lsn: string } | null;
}

interface Opened {
  readonly place: Place;
  readonly sender: WalSender;
  /** Of the backups there: what lies before all of them is not sent. */
  readonly summaries: readonly Pick<CopySummary, 'label' | 'wal'>[];
}

const PAUSE_MAX_MS = 60_000;
/** Then it is seen again what others have added to the place, or taken from it. */
const LIST_EVERY_MS = 600_000;

type Needs = Pick<CopiesNeeds, 'config' | 'system' | 'clock' | 'reveal'>;

/** The part of a copy's façade that sends WAL. */
export const walSending = (needs: Needs): Pick<Copies, 'sendWal' | 'followWal'> => ({
  sendWal: (name, signal) => sendWalTo(needs, name, signal),
  followWal: (name, isOver, signal) => followWalTo(needs, name, isOver, signal),
});

/** Everything that is kept and not there yet, once. Rejects with `data.foreign` where only other clusters are there. */
async function sendWalTo(needs: Needs, name: string, signal: AbortSignal): Promise<SentToCopy> {
  const opened = await openFor(needs, name, signal);
  return holdWalOfCopy(needs, name, signal, () => sendHeld(needs, name, opened, signal));
}

/**
 * Sends WAL as it is kept, until `signal` fires, or until the keys of the copy were rotated: then the configuration must be read again. What cannot
 * be done is told once, noted, and tried again.
 */
async function followWalTo(needs: Needs, name: string, isOver: () => boolean, signal: AbortSignal): Promise<void> {
  const { config, system } = needs;
  const everyMs = config.wal.copySeconds * 1000;
  const beganAt = system.clock.now().toISOString();
  let open: (Opened & { readonly listedMs: number }) | undefined;
  let [said, pauseMs] = ['', everyMs];
  while (!signal.aborted && !isOver()) {
    try {
      if (open === undefined || system.clock.monotonicMs() - open.listedMs > LIST_EVERY_MS) {
        open = { ...(await openFor(needs, name, signal)), listedMs: system.clock.monotonicMs() };
      }
      const opened = open;
      const done = await holdWalOfCopy(needs, name, signal, async () => {
        const { rotatedAt } = await readNotes(config.stateDir, name, openSources(needs).settingsOf(name), system.files);
        if (rotatedAt && rotatedAt >= beganAt) return 'rotated';
        return sendHeld(needs, name, opened, signal);
      });
      if (done === 'rotated') return;
      if (said !== '') system.log.info('copy.wal-works', `WAL is sent to ${name} again`);
      [said, pauseMs] = ['', everyMs];
    } catch (cause) {
      if (isAbort(cause) && signal.aborted) return;
      const words = wordsOf(cause);
      if (words !== said)
        system.log.error('copy.wal-failed', `WAL could not be sent to ${name}: ${words}; it is kept here, and sending it is tried again`, {
          copy: name,
        });
      [said, open, pauseMs] = [words, undefined, Math.min(PAUSE_MAX_MS, pauseMs * 2)];
    }
    await system.clock.sleep(pauseMs, signal).catch(() => undefined);
  }
}

/** Sends, and notes what was sent or what hinders it. The caller holds the lock of that copy's WAL. */
export async function sendHeld(
  needs: Pick<Needs, 'config' | 'system'>,
  name: string,
  { place, sender, summaries }: Opened,
  signal: AbortSignal,
): Promise<SentToCopy> {
  const { config, system } = needs;
  const { systemIdentifier } = place;
  const where = { stateDir: config.stateDir, name, settings: config.copies[name]! };
  const before = await ownNotes(where, systemIdentifier, system);
  try {
    const at = system.clock.now().toISOString();
    const { end, ...sent } = await sender.send(summaries, signal);
    const reached = end && { timeline: end.timeline, lsn: formatLsn(end.lsn) };
    const notes = reached === null ? before : { systemIdentifier, ...reached, at };
    await writeWalNotes(where, { ...notes, failing: null }, system.files);
    return { copy: name, place: place.store.place, ...sent, end: reached };
  } catch (cause) {
    if (!isAbort(cause)) await noteFailure(where, before, wordsOf(cause), system);
    throw cause;
  }
}

async function ownNotes(
  { stateDir, name, settings }: Parameters<typeof writeWalNotes>[0],
  systemIdentifier: string,
  { files }: Pick<System, 'files'>,
): Promise<WalNotes> {
  const read = await readWalNotes(stateDir, name, settings, files);
  return read?.systemIdentifier === systemIdentifier ? read : { systemIdentifier, timeline: null, lsn: null, at: null, failing: null };
}

const noteFailure = (
  where: Parameters<typeof writeWalNotes>[0],
  before: WalNotes,
  message: string,
  { files, clock }: Pick<System, 'files' | 'clock'>,
): Promise<void> =>
  writeWalNotes(where, { ...before, failing: { since: before.failing?.since ?? clock.now().toISOString(), message } }, files).catch(
    () => undefined, // The failure itself is what counts.
  );

/** The folder of this server's cluster there, and what is listed in it. What hinders it is noted. */
async function openFor(needs: Needs, name: string, signal: AbortSignal): Promise<Opened> {
  const { config, system } = needs;
  const { settingsOf, storeOf, placeOf } = openSources(needs);
  const settings = settingsOf(name);
  const keeping = await readKeeping(config.stateDir, system.files);
  const systemIdentifier = keeping?.systemIdentifier ?? (await readCluster(config.postgresql.dataDir, signal)).systemIdentifier;
  try {
    const store = await storeOf(name);
    await requireOwn(store, systemIdentifier, false, signal);
    const place = placeOf(name, store, systemIdentifier);
    return { place, sender: openWalSender(place, { backupDir: config.backupDir, ...system }), summaries: await place.summaries(signal) };
  } catch (cause) {
    const where = { stateDir: config.stateDir, name, settings };
    if (!isAbort(cause)) await noteFailure(where, await ownNotes(where, systemIdentifier, system), wordsOf(cause), system);
    throw cause;
  }
}
