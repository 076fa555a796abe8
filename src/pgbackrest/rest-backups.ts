import type { BaseBackups, Repository } from '../backups/backup.ts';
import { changedSince, type Newest } from '../backups/base/changed-since.ts';
import { readCluster } from '../backups/base/cluster.ts';
import { descendsFrom } from '../backups/base/descent.ts';
import { type DrillReport, damages } from '../backups/drill.ts';
import { refuse } from '../backups/engine-refusals.ts';
import { DbkitError } from '../kernel/errors.ts';
import { annotate, describe, placeOf, readInfo, requireSet, toBackup } from './catalog.ts';
import type { RestBackup } from './info.ts';
import { findRestPoint, servingRest } from './points.ts';
import { createRest, type RestNeeds } from './program.ts';
import { stageSet } from './stage.ts';
import { expireBackups, takeBackup } from './take.ts';
import { type Verified, verifySets } from './verify.ts';

/** One reading of the whole repository answers for every backup in it, for as long as somebody asks for one after the other. */
const VERIFIED_FOR_MS = 300_000;

/** Base backups that pgBackRest takes and keeps. Everything else, from the boot test to the undo, is as with dbkit's own. */
export function createRestBackups(needs: RestNeeds): BaseBackups {
  const { config, system } = needs;
  const rest = createRest(needs);
  const asBackup = (one: RestBackup) => toBackup(one, placeOf(config), config.pgbackrest.stanza);
  const verified = createVerified(needs, (set, signal) => verifySets(rest, set, signal));

  const repository: Repository = {
    list: async (signal) => (await readInfo(rest, signal)).backups.map(asBackup),
    describe: async (backup, signal) => describe(await requireSet(rest, backup, signal)),
    async annotate(backup, { pinned, note }, signal) {
      const words = {
        ...(pinned === undefined ? {} : { pinned: pinned ? 'yes' : '' }),
        ...(note === undefined ? {} : { note: note ?? '' }),
      };
      await annotate(rest, await requireSet(rest, backup, signal), words, signal);
      return asBackup(await requireSet(rest, backup, signal));
    },
    expire: ({ dryRun }, signal) => expireBackups(rest, needs, { dryRun }, signal),
  };

  return {
    name: 'pgbackrest',
    kind: 'physical',
    repository,
    async take(signal, options = {}) {
      const made = await takeBackup(rest, needs, options, signal);
      if (!made.hasDamagedPages) await expireBackups(rest, needs, { dryRun: false, justMade: made.label }, signal);
      return asBackup(made);
    },
    stage: (backup, target, signal) => stageSet(rest, needs, backup, target, signal),
    findPoint: async (request, label, signal) => (await findRestPoint(rest, needs, { request, label }, signal)).plan,
    serving: (request, signal) => servingRest(rest, needs, request, signal),
    reachable: () => Promise.reject(refuse('pgbackrest-has-no-timeline')),
    async verify(backup, signal, { deep } = { deep: false }) {
      if (deep) throw refuse('pgbackrest-verifies-all-there-is');
      const one = await requireSet(rest, backup, signal);
      const all = await verified(one.set, signal);
      const problem = all.get(one.set) ?? (all.has(one.set) ? null : 'pgBackRest does not know it any more');
      await annotate(rest, one, { verifiedAt: system.clock.now().toISOString(), problem: problem ?? '' }, signal);
      if (problem !== null) throw new DbkitError('data.corrupt', problem, { hint: 'take a new one: `dbkit backup create --full`' });
    },
    async prove(backup, drill, signal) {
      await annotate(rest, await requireSet(rest, backup, signal), wordsOfDrill(drill), signal);
    },
    descends: async (backup, dataDir, signal) => descendsFrom(await requireSet(rest, backup, signal), dataDir, signal),
    async changedSinceLast(signal) {
      const { dataDir } = config.postgresql;
      const [newest] = (await readInfo(rest, signal)).backups.slice(-1);
      return changedSince(newest && (await endOf(newest, dataDir, signal)), dataDir, signal);
    },
    // Its files are compressed pieces of a repository: nothing there can be held against a file or a page of the data.
    sameFiles: async () => new Map(),
    walSegment: async () => undefined,
    rollsForward: async () => false,
    baseline: async () => undefined,
  };
}

async function endOf(one: RestBackup, dataDir: string, signal: AbortSignal): Promise<Newest> {
  const { label, startLsn, stopLsn, timeline, systemIdentifier } = one;
  const { segmentSizeBytes: walSegmentSizeBytes } = await readCluster(dataDir, signal);
  const place = { checkpointLsn: startLsn, stopLsn, timeline, systemIdentifier, walSegmentSizeBytes };
  return { label, ...place, state: one.hasDamagedPages ? 'damaged' : 'good', mode: 'hot', fromStandby: false };
}

function wordsOfDrill(drill: DrillReport): Parameters<typeof annotate>[2] {
  const failed = damages(drill);
  if (drill.ok) return { provenAt: drill.at, restoreMs: String(drill.rtoMs), problem: '' };
  return failed ? { problem: `${failed.name}: ${failed.because}` } : {};
}

function createVerified(
  { system: { clock } }: RestNeeds,
  verify: (set: string, signal: AbortSignal) => Promise<Verified>,
): (set: string, signal: AbortSignal) => Promise<Verified> {
  let last: { readonly atMs: number; readonly found: Verified } | undefined;
  return async (set, signal) => {
    if (last && clock.monotonicMs() - last.atMs < VERIFIED_FOR_MS && last.found.has(set)) return last.found;
    const found = await verify(set, signal);
    last = { atMs: clock.monotonicMs(), found };
    return found;
  };
}
