import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { severities } from '../kernel/severity.ts';
import { type Alert, isNews, type StampedAlert, type Told } from './alert.ts';

const text = v.string();
const alert = v.looseObject({
  topic: text,
  severity: v.picklist(severities),
  resolves: v.boolean(),
  title: text,
  lines: v.array(text),
  command: v.nullable(text),
  at: v.pipe(text, v.isoTimestamp()),
  host: text,
  system: text,
  environment: v.nullable(text),
});
const ledgerFile = v.object({ schema: v.literal('dbkit.alerts-told/v1'), alerts: v.array(alert) });

/** As many as a bad month has. */
const KEPT = 500;

/** Every alert that was news, for the report of an incident; also where no channel is configured, or none took it. */
export interface AlertLedger {
  /** Never rejects: a full disk keeps nobody from being told. */
  note(alert: Alert): Promise<void>;
  /** Oldest first; none where nothing can be read. */
  all(): Promise<readonly StampedAlert[]>;
}

/** `<stateDir>/alerts-told.json`, one writer at a time. */
export function createAlertLedger(
  { stateDir, repeatAfterMs, stamp }: { readonly stateDir: string; readonly repeatAfterMs: number; stamp(alert: Alert): StampedAlert },
  { clock, files, log }: Pick<System, 'clock' | 'files' | 'log'>,
): AlertLedger {
  const path = join(stateDir, 'alerts-told.json');
  let writing: Promise<void> = Promise.resolve();
  const read = async (): Promise<readonly StampedAlert[]> =>
    (await files.readJson(path, (value) => v.parse(ledgerFile, value).alerts)) ?? [];
  async function add(next: Alert): Promise<void> {
    const known = await read(); // What cannot be read now is not written anew: it may be read again.
    if (!isNews(next, toldIn(known), { nowMs: clock.now().getTime(), repeatAfterMs })) return;
    const owner = await stat(stateDir).catch(() => undefined); // Root tells of a recovery, somebody else of the next check.
    const alerts = [...known, stamp(next)].slice(-KEPT);
    await files.write(path, `${JSON.stringify({ schema: 'dbkit.alerts-told/v1', alerts })}\n`, { mode: 0o600, owner });
  }
  return {
    all: () => read().catch(() => []),
    note(next) {
      writing = writing.then(() =>
        add(next).catch((cause: unknown) => log.debug('alert.not-noted', `the alert is not in the history: ${wordsOf(cause)}`)),
      );
      return writing;
    },
  };
}

const ends = ({ resolves, severity }: Alert): boolean => resolves || severity === 'SUCCESS';

/** The last word about each topic that is not over. Pure. */
function toldIn(alerts: readonly StampedAlert[]): Told {
  const told = new Map<string, Told[string]>();
  for (const one of alerts) {
    if (ends(one)) told.delete(one.topic);
    else if (one.severity !== 'INFO') told.set(one.topic, { at: one.at, severity: one.severity, title: one.title });
  }
  return Object.fromEntries(told);
}

/** Since when a trouble of this kind is told and not over, by the first word that `belongs`; undefined where there is none. Pure. */
export function openSince(alerts: readonly StampedAlert[], belongs: (alert: StampedAlert) => boolean): string | undefined {
  const open = new Map<string, string>();
  for (const one of alerts) {
    if (ends(one)) open.delete(one.topic);
    else if (one.severity !== 'INFO' && belongs(one) && !open.has(one.topic)) open.set(one.topic, one.at);
  }
  return [...open.values()].sort()[0];
}
