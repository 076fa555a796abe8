import type { HaSettings } from '../config/ha-settings.ts';
import { duration, durationMs, moment } from '../kernel/units.ts';
import type { Impact } from './impact.ts';
import type { PhaseReport } from './runbook.ts';

const EVERY_MS = 15 * 60_000;

/** When it began, and who says so. */
export interface Beginning {
  readonly at: string;
  readonly from: 'given' | 'alert' | 'last-seen' | 'opened';
}

export interface StatusUpdate {
  /** 1 is sent at once, 2 after a quarter of an hour. */
  readonly number: number;
  readonly nextAt: string;
  readonly text: string;
}

export interface Contact {
  readonly name: string;
  readonly reach: string;
  /** When it is this one’s turn. */
  readonly dueAt: string;
  readonly isDue: boolean;
}

/** A text to paste; a new one is due every quarter of an hour after the beginning. Pure. */
export function updateOf(
  { title, impact, phases }: { readonly title: string; readonly impact: Impact; readonly phases: readonly PhaseReport[] },
  { at: begunAt }: Beginning,
  now: Date,
): StatusUpdate {
  const begunMs = Math.min(Date.parse(begunAt), now.getTime());
  const passed = Math.floor((now.getTime() - begunMs) / EVERY_MS);
  const nextAt = new Date(begunMs + (passed + 1) * EVERY_MS).toISOString();
  const known = phases[0]?.steps.filter(({ id }) => !id.startsWith('tell-people')).map(({ words }) => words) ?? [];
  const open = phases
    .slice(1)
    .flatMap(({ steps }) => steps)
    .find(({ done, command }) => done !== true && command !== null);
  const lines = [
    `Status update ${passed + 1}, ${moment(now.toISOString())} (${duration((now.getTime() - begunMs) / 1000)} since it began): ${title}`,
    `Impact: ${impact.words}.`,
    ...(known[0] === undefined ? [] : [`Known: ${known[0]}.`]),
    ...(open === undefined ? [] : [`Next step: ${open.words}.`]),
    `The next update follows at ${moment(nextAt)}.`,
  ];
  return { number: passed + 1, nextAt, text: lines.join('\n') };
}

/** In the order of their turns. Pure. */
export const contactsOf = ({ contacts }: Pick<HaSettings, 'contacts'>, { at }: Beginning, now: Date): readonly Contact[] =>
  contacts
    .map(({ name, reach, after }) => {
      const dueMs = Date.parse(at) + durationMs(after);
      return { name, reach, dueAt: new Date(dueMs).toISOString(), isDue: dueMs <= now.getTime() };
    })
    .sort((a, b) => Date.parse(a.dueAt) - Date.parse(b.dueAt));
