import { isProof } from '../../backups/drill.ts';
import type { PostgresqlOptions } from '../../boot/hold.ts';
import type { DrillKind } from '../../config/schedules.ts';
import { judgedBy, tiers } from '../../config/tiers.ts';
import { lowerPriority } from '../../machine/low-priority.ts';
import { createChecks } from '../checks.ts';
import { type CountedTable, countRows, differences } from '../counted-rows.ts';
import { createKeptWal } from '../kept-wal.ts';
import { latestOn, reachedNow, withoutTheData } from './come-back.ts';
import type { GameDay, GameDays } from './contract.ts';
import { corruption, type Disaster, type Rehearsed, remoteRegion, tableLoss, totalLoss } from './disasters.ts';
import { openEvidence } from './evidence.ts';
import { lossOf } from './loss.ts';

/** Beyond it the running server is not read through for the sake of a comparison. */
const COMPARED_BYTES_MAX = 1024 ** 3;

/** Disasters rehearsed on copies, timed, judged against the tier, and kept as evidence. */
export function createGameDays(options: PostgresqlOptions): GameDays {
  const { config, system } = options;
  const { clock, log } = system;
  const evidence = openEvidence(config.stateDir, system);
  return {
    history: () => evidence.all(),
    async rehearse(kind, { copy, lowPriority }, signal) {
      if (lowPriority) await lowerPriority(system, signal);
      const begunMs = clock.monotonicMs();
      const at = clock.now();
      const reached = await reachedNow(options, signal);
      const archive = await createKeptWal(options)
        .status(signal)
        .catch(() => null);
      signal.throwIfAborted();
      const checks = createChecks(clock);
      const disaster: Disaster = {
        options,
        checks,
        point: latestOn(reached?.timeline),
        compare: (counted, nextXid) => compareWithServer(options, counted, nextXid, signal),
      };
      log.info('drill.begun', `rehearsing ${kind} on a copy; the instance is not touched`, { kind });
      const done = await rehearsals[kind](disaster, copy, signal);
      const { back } = done;
      const loss = back
        ? lossOf({
            reached,
            nextXid: back.nextXid,
            lastCommitMicros: back.plan.lastCommit === null ? null : BigInt(back.plan.lastCommit.atMicros),
            lagSeconds: kind === 'remote-region' ? null : (archive?.lag?.seconds ?? null),
          })
        : { transactions: 0, seconds: isProof(checks.done) ? 0 : null };
      const targets = config.tier === undefined ? undefined : tiers[config.tier];
      const [rto, rpo] = [judgedBy(done.rtoMs / 1000, targets?.rtoSeconds ?? null), judgedBy(loss.seconds, targets?.rpoSeconds ?? null)];
      const day: GameDay = {
        kind,
        at: at.toISOString(),
        ok: isProof(checks.done) && rto.met !== false && rpo.met !== false,
        label: done.label,
        source: done.source,
        tier: config.tier ?? null,
        rto,
        rpo,
        lostTransactions: loss.transactions,
        rows: done.rows,
        checks: checks.done,
        durationMs: Math.round(clock.monotonicMs() - begunMs),
      };
      await evidence.keep(day);
      if (kind === 'total-loss') await proveWith(options, done, day, signal);
      return day;
    },
  };
}

const rehearsals: Record<DrillKind, (disaster: Disaster, copy: string | undefined, signal: AbortSignal) => Promise<Rehearsed>> = {
  corruption: (disaster, _copy, signal) => corruption(disaster, signal),
  'table-loss': (disaster, _copy, signal) => tableLoss(disaster, signal),
  'total-loss': (disaster, _copy, signal) => totalLoss(disaster, signal),
  'remote-region': (disaster, copy, signal) => remoteRegion(disaster, copy, signal),
};

/** Everything came back from it and answered: the backup counts as proven, and its time is what `status` shows. */
async function proveWith(options: PostgresqlOptions, { back, rtoMs }: Rehearsed, day: GameDay, signal: AbortSignal): Promise<void> {
  const of = await withoutTheData(options, options.config.backupDir);
  const backup = (await of.repository.list(signal)).find(({ label }) => label === day.label);
  if (backup === undefined) return; // It has expired meanwhile.
  const times = { rtoMs: Math.round(rtoMs), restoreMs: Math.round(rtoMs), startMs: 0, rpoMs: Math.round((day.rpo.seconds ?? 0) * 1000) };
  const report = { label: day.label, ok: isProof(day.checks), at: day.at, ...times, rollsForward: true };
  await of.prove(backup, { ...report, databases: back?.databases ?? 0, checks: day.checks }, signal);
}

async function compareWithServer(
  options: PostgresqlOptions,
  counted: readonly CountedTable[],
  nextXid: bigint,
  signal: AbortSignal,
): Promise<string | null | { readonly skipped: string }> {
  const sizeBytes = counted.reduce((sum, table) => sum + table.sizeBytes, 0);
  if (sizeBytes > COMPARED_BYTES_MAX) return { skipped: 'the running server is too large to be read through for it' };
  const before = await reachedNow(options, signal);
  if (before === undefined) return { skipped: 'no primary answers' };
  if (before.isBusy) return { skipped: 'transactions that have written are open on the running server' };
  if (before.nextXid !== nextXid) return { skipped: 'the running server has been written to since' };
  const live = await countRows(options.config.postgresql, signal);
  const after = await reachedNow(options, signal);
  if (after?.nextXid !== nextXid || after.isBusy) return { skipped: 'the running server was written to meanwhile' };
  return differences(live, counted);
}
