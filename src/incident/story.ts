import type { StampedAlert } from '../alerts/alert.ts';
import type { TimelineChange } from '../cluster/answers.ts';
import type { MonitorEvent } from '../monitor/decide.ts';
import type { RecoveryReport } from '../recovery/report.ts';

/** Something that happened, by whom it is told. */
export interface Entry {
  readonly at: string;
  readonly source: 'alert' | 'recovery' | 'cluster' | 'monitor';
  readonly words: string;
  /** It is a trouble of its own; others only stand beside one. */
  readonly isTrouble: boolean;
  /** A trouble that lasts until another entry ends it. */
  readonly opens: string | null;
  readonly ends: string | null;
}

/** Everything that is remembered, from every memory. */
export interface Memories {
  readonly alerts: readonly StampedAlert[];
  readonly recoveries: readonly RecoveryReport[];
  readonly changes: readonly TimelineChange[];
  readonly events: readonly MonitorEvent[];
}

/** One incident: its entries, oldest first. */
export interface Story {
  readonly beganAt: string;
  /** null: a trouble of it is still open. */
  readonly endedAt: string | null;
  readonly entries: readonly Entry[];
}

const iso = (at: string): string => new Date(at).toISOString();

function alertEntry({ at, severity, title, topic, resolves }: StampedAlert): Entry {
  const isOver = resolves || severity === 'SUCCESS';
  const isTrouble = !isOver && severity !== 'INFO';
  return {
    at: iso(at),
    source: 'alert',
    words: `${isOver ? 'over' : severity.toLowerCase()}: ${title}`,
    isTrouble,
    opens: isTrouble ? topic : null,
    ends: isOver ? topic : null,
  };
}

/** `at` is when it was done (recovery/report.ts). */
export const startOf = ({ at, durationMs }: RecoveryReport): string => new Date(Date.parse(at) - durationMs).toISOString();

function recoveryEntries(report: RecoveryReport): Entry[] {
  if (report.serving) return [];
  const { at, decision, because, lost, readyAt } = report;
  const topic = `recovery of ${at}`;
  return [
    {
      at: startOf(report),
      source: 'recovery',
      words: `recovery (${decision}) began, because ${because}; lost: ${lost}`,
      isTrouble: true,
      opens: topic,
      ends: null,
    },
    {
      at: iso(readyAt ?? at),
      source: 'recovery',
      words: readyAt === undefined ? 'the recovery was done; the server was not started by it' : 'the server answered again',
      isTrouble: false,
      opens: null,
      ends: topic,
    },
  ];
}

const changeEntry = ({ at, timeline, newLeader, reason }: TimelineChange): Entry[] =>
  at === null || Number.isNaN(Date.parse(at))
    ? []
    : [
        {
          at: iso(at),
          source: 'cluster',
          words: `${newLeader ?? 'another member'} leads on timeline ${timeline + 1} (${reason})`,
          isTrouble: true,
          opens: null,
          ends: null,
        },
      ];

/** Everything in the order in which it happened. Pure. */
export function entriesOf({ alerts, recoveries, changes, events }: Memories): readonly Entry[] {
  const told = events.map(
    ({ at, what }): Entry => ({ at: iso(at), source: 'monitor', words: what, isTrouble: false, opens: null, ends: null }),
  );
  return [...alerts.map(alertEntry), ...recoveries.flatMap(recoveryEntries), ...changes.flatMap(changeEntry), ...told].sort((a, b) =>
    a.at.localeCompare(b.at),
  );
}

/** Two troubles that are further apart, with none open between them, are two incidents. */
const APART_MS = 30 * 60_000;
/** Whatever stands so near to an incident belongs to it. */
const BESIDE_MS = 5 * 60_000;

/** The incidents, newest first. Pure. */
export function storiesOf(entries: readonly Entry[]): readonly Story[] {
  const spans: { begunMs: number; lastMs: number; open: Set<string> }[] = [];
  for (const { at, isTrouble, opens, ends } of entries) {
    const atMs = Date.parse(at);
    const span = spans.at(-1);
    if (ends !== null && span?.open.delete(ends)) span.lastMs = atMs;
    if (!isTrouble) continue;
    if (span === undefined || (span.open.size === 0 && atMs - span.lastMs > APART_MS))
      spans.push({ begunMs: atMs, lastMs: atMs, open: new Set<string>() });
    else span.lastMs = atMs;
    if (opens !== null) spans.at(-1)!.open.add(opens);
  }
  return spans
    .map(({ begunMs, lastMs, open }) => {
      const isOpen = open.size > 0;
      const inside = entries.filter(({ at }) => {
        const atMs = Date.parse(at);
        return atMs >= begunMs - BESIDE_MS && (isOpen || atMs <= lastMs + BESIDE_MS);
      });
      const last = inside.filter(({ source }) => source !== 'monitor').at(-1)!.at;
      return { beganAt: new Date(begunMs).toISOString(), endedAt: isOpen ? null : last, entries: inside };
    })
    .reverse();
}

/** Everything since a moment, as one incident. Pure. */
export function storySince(entries: readonly Entry[], since: Date): Story {
  const inside = entries.filter(({ at }) => Date.parse(at) >= since.getTime());
  const newest = storiesOf(inside)[0];
  return { beganAt: since.toISOString(), endedAt: newest === undefined ? since.toISOString() : newest.endedAt, entries: inside };
}
