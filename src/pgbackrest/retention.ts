import type { RetentionDecision } from '../backups/backup.ts';
import { planRetention, type RetentionPolicy } from '../backups/retention.ts';
import { fill } from '../kernel/reasons.ts';
import { toBackup } from './catalog.ts';
import type { RestBackup } from './info.ts';

export interface RestRetention {
  /** Newest first. */
  readonly decisions: readonly RetentionDecision[];
  /** To be expired, each with all that needs it, in an order in which every one is still there when its turn comes. */
  readonly expire: readonly RestBackup[];
  /** How many of the newest full backups keep all WAL since; older ones, which a pin alone keeps, keep what they need themselves. */
  readonly fullsWithWal: number;
}

/** The one rule beside dbkit's own. */
export const neededRow = { id: 'needed-by-another', then: 'keep', words: '{by} needs it' } as const;

/**
 * Pure. dbkit's own rules, plus one: what a kept backup needs is kept too. pgBackRest removes with a backup everything that needs it, so none of that
 * may be kept by another rule.
 */
export function planRestRetention(backups: readonly RestBackup[], policy: RetentionPolicy): RestRetention {
  const plan = planRetention(
    backups.map((one) => toBackup(one, '/', 'stanza')),
    policy,
  );
  const bySet = new Map(backups.map((one) => [one.set, one]));
  const byLabel = new Map(backups.map((one) => [one.label, one]));
  const needed = new Map<string, string>();
  for (const { label, keep } of plan)
    if (keep) for (const set of byLabel.get(label)?.needs ?? []) needed.set(bySet.get(set)?.label ?? set, label);
  const decisions = plan.map((decision): RetentionDecision => {
    const by = needed.get(decision.label);
    return decision.keep || by === undefined
      ? decision
      : { ...decision, keep: true, reason: neededRow.id, because: fill(neededRow.words, { by }) };
  });
  const kept = new Set(decisions.filter(({ keep }) => keep).map(({ label }) => label));
  const expire = backups.filter(({ label }) => !kept.has(label)).reverse(); // Newest first: what needs another goes before it.
  return { decisions, expire, fullsWithWal: fullsWithWal(backups, decisions) };
}

/** The newest fulls down to the oldest that stays for another reason than a pin, its own or that of one that needs it. */
function fullsWithWal(backups: readonly RestBackup[], decisions: readonly RetentionDecision[]): number {
  const reasonOf = new Map(decisions.map(({ label, keep, reason }) => [label, keep ? reason : undefined]));
  const isKept = (one: RestBackup): boolean => reasonOf.get(one.label) !== undefined;
  const moves = (one: RestBackup): boolean => !['pinned', neededRow.id, undefined].includes(reasonOf.get(one.label));
  const fulls = backups.filter((one) => one.type === 'full' && isKept(one)).reverse();
  const last = fulls.findLastIndex((full) => moves(full) || backups.some((one) => one.set.startsWith(`${full.set}_`) && moves(one)));
  return Math.max(last + 1, 1);
}
