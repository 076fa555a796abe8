import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { severities } from '../kernel/severity.ts';
import {
  type Alert,
  afterFailing,
  afterTelling,
  type ChannelMemory,
  isHeard,
  isNews,
  type StampedAlert,
  untold,
  withoutOver,
} from './alert.ts';
import type { ChannelSettings } from './channels.ts';
import { Unaccepted } from './http.ts';

/** How long to wait before the second, third and fourth attempt. */
const BACKOFF_MS = [1_000, 5_000, 20_000];
/** A channel that wants to be left alone for longer is asked again by a later alert. */
const PATIENCE_MS = 60_000;

const told = v.record(v.string(), v.object({ at: v.string(), severity: v.picklist(severities), title: v.string() }));
const pending = v.looseObject({ topic: v.string(), severity: v.picklist(severities), title: v.string(), at: v.string() });
const channels = v.record(v.string(), v.object({ told, retryAt: v.nullable(v.string()), pending: v.array(pending) }));
const memoryFile = v.object({ schema: v.literal('dbkit.alerts/v2'), channels });

export interface Delivering {
  readonly stateDir: string;
  readonly system: Pick<System, 'clock' | 'files' | 'log'>;
  readonly repeatAfterMs: number;
  stamp(alert: Alert): StampedAlert;
  send(channel: ChannelSettings, alert: StampedAlert, signal: AbortSignal): Promise<void>;
}

/** Tells one channel after the other message in the order they came. */
export interface Delivery {
  /** Never rejects; resolves when the channel has it, does not want it, or has been given up for now. */
  tell(name: string, channel: ChannelSettings, alert: Alert, signal: AbortSignal): Promise<void>;
}

/** `<stateDir>/alerts.json`, one writer at a time. */
function channelMemories(stateDir: string, { files, log }: Delivering['system']) {
  const path = join(stateDir, 'alerts.json');
  let writing: Promise<void> = Promise.resolve();

  const recall = async (name: string): Promise<ChannelMemory> => {
    const known = await files.readJson(path, parseMemory).catch(() => undefined);
    return known?.[name] ?? known?.['*'] ?? untold;
  };
  const keep = (name: string, memory: ChannelMemory): Promise<void> => {
    writing = writing.then(async () => {
      try {
        const { '*': _, ...known } = (await files.readJson(path, parseMemory).catch(() => undefined)) ?? {};
        const owner = await stat(stateDir).catch(() => undefined); // Root tells of a recovery, somebody else of the next check.
        const body = JSON.stringify({ schema: 'dbkit.alerts/v2', channels: { ...known, [name]: memory } });
        await files.write(path, body, { mode: 0o600, owner });
      } catch (cause) {
        log.warn('alert.not-remembered', `the state of the alerts cannot be saved: ${wordsOf(cause)}`); // It is told all the same.
      }
    });
    return writing;
  };
  return { recall, keep };
}

/**
 * The messages that each channel got are in `<stateDir>/alerts.json`. An alert counts as told only when its channel has taken it: a channel that was
 * down hears of a trouble that goes on with the next check, and never of the end of one that it was not told.
 */
export function createDelivery({ stateDir, system, repeatAfterMs, stamp, send }: Delivering): Delivery {
  const { clock, log } = system;
  const { recall, keep } = channelMemories(stateDir, system);
  const turns = new Map<string, Promise<void>>();
  /** Messages that a slow channel has not come to: of one trouble only the newest word counts. */
  const waiting = new Map<string, { alert: Alert; readonly turn: Promise<void> }>();
  /** Undefined when the channel has it; else until when it wants to be left alone, or null. */
  type Outcome = Promise<string | null | undefined>;
  async function attempt(name: string, channel: ChannelSettings, alert: StampedAlert, signal: AbortSignal): Outcome {
    let waitedMs = 0;
    for (const pauseMs of [...BACKOFF_MS, undefined]) {
      try {
        await send(channel, alert, signal);
        log.debug('alert.sent', `told ${name}: ${alert.title}`, { channel: name });
        return undefined;
      } catch (cause) {
        if (signal.aborted) return null;
        const wantedMs = cause instanceof Unaccepted ? cause.retryAfterMs : undefined;
        const waitMs = Math.max(pauseMs ?? 0, wantedMs ?? 0);
        if (pauseMs === undefined || waitedMs + waitMs > PATIENCE_MS) {
          log.warn('alert.failed', `the alert did not reach ${name}: ${wordsOf(cause)}`, { channel: name });
          return wantedMs === undefined ? null : new Date(clock.now().getTime() + wantedMs).toISOString();
        }
        await clock.sleep(waitMs, signal).catch(() => undefined);
        waitedMs += waitMs;
      }
    }
    return null;
  }

  async function deliver(name: string, channel: ChannelSettings, alert: Alert, signal: AbortSignal): Promise<void> {
    let memory = withoutOver(alert, await recall(name));
    const nowMs = clock.now().getTime();
    const isWanted = isHeard(alert, channel.severities, memory.told) && isNews(alert, memory.told, { nowMs, repeatAfterMs });
    if (!isWanted && memory.pending.length === 0) return;
    const waitMs = memory.retryAt === null ? 0 : Date.parse(memory.retryAt) - nowMs;
    if (waitMs > PATIENCE_MS) return isWanted ? keep(name, afterFailing(stamp(alert), memory, memory.retryAt)) : undefined;
    if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => undefined);
    for (const late of memory.pending) {
      if ((await attempt(name, channel, late, signal)) !== undefined) break;
      memory = afterTelling(late, { ...memory, pending: memory.pending.slice(1) }, late.at);
      await keep(name, memory);
    }
    if (!isWanted) return;
    const stamped = stamp(alert);
    const failed = memory.pending.length > 0 ? memory.retryAt : await attempt(name, channel, stamped, signal); // In the order they happened.
    await keep(name, failed === undefined ? afterTelling(alert, memory, stamped.at) : afterFailing(stamped, memory, failed));
  }

  return {
    tell(name, channel, alert, signal) {
      const key = `${name} ${alert.topic} ${alert.topic === 'health' ? '' : alert.title}`;
      const queued = waiting.get(key);
      if (queued) {
        queued.alert = alert;
        return queued.turn;
      }
      const turn = (turns.get(name) ?? Promise.resolve()).then(() => {
        const newest = waiting.get(key)?.alert ?? alert;
        waiting.delete(key);
        return deliver(name, channel, newest, signal);
      });
      turns.set(name, turn);
      waiting.set(key, { alert, turn });
      return turn;
    },
  };
}

/** Version 1 knew one list for every channel: what was told then was told to all. */
function parseMemory(value: unknown): Readonly<Record<string, ChannelMemory>> {
  const old = v.safeParse(told, value);
  if (old.success) return { '*': { ...untold, told: old.output } };
  return v.parse(memoryFile, value).channels as unknown as Readonly<Record<string, ChannelMemory>>;
}
