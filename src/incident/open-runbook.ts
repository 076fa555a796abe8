import type { Alerter } from '../alerts/contract.ts';
import { openSince } from '../alerts/ledger.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { RunbookFacts } from './facts.ts';
import { type GatherNeeds, gather } from './gather.ts';
import { type Impact, impactOf } from './impact.ts';
import { type PhaseReport, phasesOf, type Runbook } from './runbook.ts';
import { runbookNamed, runbooks } from './runbooks/runbooks.ts';
import { tells } from './tellers.ts';
import { type Beginning, type Contact, contactsOf, type StatusUpdate, updateOf } from './updates.ts';

/** A runbook with the facts of this moment: JSON of `dbkit runbook NAME`; fields are only ever added. */
export interface RunbookReport {
  readonly runbook: string;
  readonly title: string;
  readonly at: string;
  readonly began: Beginning;
  readonly elapsedSeconds: number;
  /** The present facts look like it; null: only a person knows. */
  readonly fits: boolean | null;
  /** Automatic failover of the cluster is off. */
  readonly paused: boolean;
  readonly impact: Impact;
  readonly phases: readonly PhaseReport[];
  readonly update: StatusUpdate;
  readonly contacts: readonly Contact[];
}

export interface RunbookList {
  readonly runbooks: readonly {
    readonly name: string;
    readonly title: string;
    readonly needsCluster: boolean;
    readonly fits: boolean | null;
  }[];
  readonly impact: Impact;
}

export type RunbookNeeds = GatherNeeds & { readonly alerts: Pick<Alerter, 'history'> };

export interface RunbookWish {
  readonly name: string;
  /** When it began; undefined: as alerts and the monitor's memory say. */
  readonly since: Date | undefined;
  /** Where nothing says when it began: since somebody opened it, or as it was known before. */
  readonly otherwise: Beginning;
}

/** Rejects with `usage.invalid` for a name that there is not, `config.invalid` where it needs a cluster and there is none. */
export async function openRunbook(app: RunbookNeeds, { name, since, otherwise }: RunbookWish, signal: AbortSignal): Promise<RunbookReport> {
  const runbook = runbookNamed(name);
  if (runbook.needsCluster && Object.keys(app.config.ha.members).length === 0)
    throw new DbkitError('config.invalid', `the runbook ${name} is for a cluster, and the configuration names no member (ha.members)`, {
      hint: 'for one server: `dbkit runbook database-corrupt`, `data-deleted`, `disk-full` or `point-in-time`',
    });
  const [facts, alerts] = await Promise.all([gather(app, { moments: runbook.needsMoments }, signal), app.alerts.history()]);
  const told = openSince(alerts, tells(runbook.toldBy));
  const now = app.clock.now();
  return runbookReport(runbook, facts, { began: beginningOf({ since, told, facts, otherwise }), contacts: app.config.ha, now });
}

/** Every runbook, and which of them the present facts look like. */
export async function listRunbooks(app: RunbookNeeds, signal: AbortSignal): Promise<RunbookList> {
  const facts = await gather(app, { moments: false }, signal);
  return {
    runbooks: runbooks.map(({ name, title, needsCluster, fits }) => ({ name, title, needsCluster, fits: fits(facts) })),
    impact: impactOf(facts),
  };
}

/** Pure. */
export function beginningOf(known: {
  readonly since: Date | undefined;
  readonly told: string | undefined;
  readonly facts: Pick<RunbookFacts, 'unreachableSince'>;
  readonly otherwise: Beginning;
}): Beginning {
  if (known.since !== undefined) return { at: known.since.toISOString(), from: 'given' };
  if (known.told !== undefined) return { at: known.told, from: 'alert' };
  const { unreachableSince } = known.facts;
  return unreachableSince === null ? known.otherwise : { at: unreachableSince, from: 'last-seen' };
}

/** Pure. */
export function runbookReport(
  runbook: Runbook,
  facts: RunbookFacts,
  { began, contacts, now }: { readonly began: Beginning; readonly contacts: Parameters<typeof contactsOf>[0]; readonly now: Date },
): RunbookReport {
  const phases = phasesOf(runbook, facts);
  const impact = impactOf(facts);
  const fits = runbook.fits(facts);
  const { name } = runbook;
  const title = fits === false ? `${runbook.title} (not now, as far as can be seen)` : runbook.title;
  return {
    runbook: name,
    title,
    at: now.toISOString(),
    began,
    elapsedSeconds: Math.max(0, Math.floor((now.getTime() - Date.parse(began.at)) / 1000)),
    fits,
    paused: facts.isPaused,
    impact,
    phases,
    update: updateOf({ title, impact, phases }, began, now),
    contacts: contactsOf(contacts, began, now),
  };
}
