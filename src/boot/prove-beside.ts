import { outlivesPages } from '../inspection/findings.ts';
import { unknownFindings } from '../inspection/proof-findings.ts';
import { forgetProof } from '../inspection/proof-owed.ts';
import type { FindBaseline, Suspicion } from '../inspection/prove.ts';
import { proveTwice } from '../inspection/prove-twice.ts';
import { readControl } from '../inspection/state.ts';
import { walk } from '../inspection/walk.ts';
import { type Local, unaskedSince } from '../instance/local.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import { servedReport } from '../recovery/describe.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { tellDamage } from '../recovery/tell-damage.ts';
import { unprovenReport } from '../recovery/unknown-report.ts';
import { rebuildIndexes, withOwners } from './owned-damage.ts';
import { memoryOf } from './recheck.ts';
import { asFound } from './settle-damage.ts';
import { tellUnknown } from './unknown-pages.ts';
import { tellKilled } from './why-unasked.ts';

interface Sources {
  readonly findBaseline: FindBaseline;
  /** Suspects that the start had no time for. */
  readonly must: ReadonlyMap<string, Suspicion>;
  /** Adds what is found to the report of the start. */
  note(report: RecoveryReport): void;
}

/**
 * Proves every page beside the running server, in one thread that lets everybody else go first; what it finds is remembered, and mended by the
 * next start. Ends with the server, and never fails.
 */
export function proveBeside(local: Local, sources: Sources, exited: Promise<unknown>): void {
  const ended = new AbortController();
  void exited.then(() => ended.abort());
  const begunMs = local.system.clock.monotonicMs();
  void prove(local, sources, ended.signal).catch((cause: unknown) => {
    if (isAbort(cause) || ended.signal.aborted) return; // The next start goes on with it.
    const report = unprovenReport(local, wordsOf(cause), begunMs);
    local.system.log.warn('pages.unproven', report.because);
    sources.note(report);
  });
}

async function prove(local: Local, { findBaseline, must, note }: Sources, signal: AbortSignal): Promise<void> {
  const { system, volume } = local;
  const way = { local, socketDir: undefined };
  const read = readControl(volume.dataDir);
  if (!('control' in read)) return;
  const { control } = read;
  const begunMs = system.clock.monotonicMs();
  system.log.info('pages.proving', 'not all pages could be proven before the start; the rest is read beside the running server');
  const baseline = await findBaseline(control.systemIdentifier, signal);
  const request = {
    dataDir: volume.dataDir,
    control,
    baseline,
    seen: walk(volume.dataDir, signal),
    must,
    whole: false,
    isLive: true,
    isPatient: true,
    log: system.log,
  };
  const proof = await proveTwice(request, signal);
  const unaskedNow = unaskedSince(local);
  const { open } = await rebuildIndexes(way, await withOwners(way, proof, signal), signal);
  const memory = memoryOf(local);
  const known = await memory.open(control.systemIdentifier);
  const stays = known.filter((entry) => entry.severity === 'certain' || proof.isLate || outlivesPages(entry));
  await memory.settle(control.systemIdentifier, [...stays, ...open]);
  const unknown = await tellUnknown(way, unknownFindings(proof), begunMs, signal);
  if (unaskedNow().length > 0) tellKilled(local, unaskedNow(), note);
  signal.throwIfAborted(); // What a server that is gone had is no news of its successor.
  if (unknown) note(unknown);
  if (open.length > 0) note(servedReport(local, open.map(asFound), begunMs));
  const fields = { pages: proof.pages, against: proof.against, durationMs: Math.round(system.clock.monotonicMs() - begunMs) };
  if (proof.isCutShort) return note(unprovenReport(local, `there was no time to read ${proof.unproven.length} files again`, begunMs)); // And stays owed.
  await forgetProof(volume.dataDir);
  if (open.length === 0 && proof.unknown.length === 0)
    system.log.info('pages.proven', `all ${proof.pages} pages that were still to be proven are right`, fields);
  tellDamage(system, open, {
    code: 'damage.found',
    begins: 'damaged',
    wayBack: () => '`dbkit restart` mends what the backup and the WAL hold',
    fields,
  });
}
