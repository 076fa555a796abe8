import { hostname } from 'node:os';
import * as v from 'valibot';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Logger, System } from '../kernel/machine.ts';
import { redact, rememberSecret } from '../kernel/redact.ts';
import { durationMs } from '../kernel/units.ts';
import type { Alert, StampedAlert } from './alert.ts';
import { type SecretPlace, secret as secretPlace } from './channel.ts';
import { chatsOf } from './channels/telegram.ts';
import { type ChannelSettings, channelSettings, send } from './channels.ts';
import type { Alerter } from './contract.ts';
import { createDelivery } from './delivery.ts';
import { getJson, ping, post } from './http.ts';
import { createAlertLedger } from './ledger.ts';
import type { AlertSettings } from './settings.ts';

/** The settings that alerts need, whatever else is configured. */
export interface Alerting {
  readonly alerts: AlertSettings;
  readonly monitor: { readonly pingUrl?: SecretPlace | undefined };
  readonly stateDir: string;
  readonly postgresql: { readonly port: number; readonly dataDir: string };
}

/** Where secrets are read from. */
export interface SecretSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** With the rights dbkit was started with: the configuration that names the file is trusted, and root's dbkit is meant to read root's secret. */
  readAsCaller(path: string): string;
}

/** Tells people through the configured channels: what is news only, each channel by itself, and never louder than its severities. */
export function createAlerter(
  { alerts: settings, monitor: { pingUrl }, stateDir, postgresql }: Alerting,
  system: Pick<System, 'clock' | 'files' | 'log' | 'runner' | 'childEnvironment'>,
  sources: SecretSources,
): Alerter & { readonly ping: (signal: AbortSignal) => Promise<boolean> } {
  const { clock, log } = system;
  const needs = { ...system, post, reveal: (place: SecretPlace) => reveal(place, sources) };
  const stamp = (alert: Alert): StampedAlert => ({
    ...alert,
    title: redact(alert.title),
    lines: alert.lines.map(redact),
    at: clock.now().toISOString(),
    host: hostname(),
    system: `PostgreSQL, port ${postgresql.port}, ${postgresql.dataDir}`,
    environment: settings.environment ?? null,
  });

  const delivery = createDelivery({
    stateDir,
    system,
    repeatAfterMs: durationMs(settings.repeatAfter),
    stamp,
    send: (channel, alert, signal) => send(channel, alert, needs, signal),
  });

  const ledger = createAlertLedger({ stateDir, repeatAfterMs: durationMs(settings.repeatAfter), stamp }, system);

  return {
    channels: Object.keys(settings.channels),
    history: ledger.all,
    async tell(alert, signal) {
      await ledger.note(alert);
      await Promise.all(Object.entries(settings.channels).map(([name, channel]) => delivery.tell(name, channel, alert, signal)));
    },
    reveal: needs.reveal,
    ping: async (signal) => pingUrl === undefined || answers(needs.reveal(pingUrl), log, signal),
    async test(name, signal) {
      const channel = settings.channels[name];
      if (!channel) throw noChannel(name, Object.keys(settings.channels));
      await tryOut(name, channel, signal);
    },
    async tryOut(name, given, signal) {
      const checked = v.safeParse(channelSettings, given);
      if (!checked.success)
        throw new DbkitError(
          'config.invalid',
          checked.issues.map(({ message, path }) => `${path?.[0]?.key ?? name}: ${message}`).join('; '),
        );
      await tryOut(name, checked.output, signal);
    },
    telegramChats: (given, signal) => telegramChats(given, needs.reveal, signal),
  };

  async function tryOut(name: string, channel: ChannelSettings, signal: AbortSignal): Promise<void> {
    const title = 'this is a test';
    const lines = ['Nothing is wrong: somebody ran `dbkit alert test`.'];
    const alert = stamp({ topic: 'test', severity: 'INFO', resolves: false, title, lines, command: null });
    await send(channel, alert, needs, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new DbkitError('service.failed', `the test message did not reach ${name}: ${wordsOf(cause)}`, {
        hint: `look at alerts.channels.${name} in dbkit.yaml, and at the file or variable that holds its secret`,
        cause,
      });
    });
  }
}

const noChannel = (name: string, known: readonly string[]): DbkitError =>
  new DbkitError('usage.invalid', `there is no channel '${name}'`, {
    hint: known.length > 0 ? `there are: ${known.join(', ')}` : 'alerts.channels in dbkit.yaml names them',
  });

/** Asks the URL of `monitor.pingUrl`; false, and told, when that did not work. */
async function answers(url: Promise<string>, log: Logger, signal: AbortSignal): Promise<boolean> {
  try {
    await ping(await url, signal);
    return true;
  } catch (cause) {
    if (!signal.aborted) log.warn('ping.failed', `the heartbeat ping could not be sent: ${wordsOf(cause)}`);
    return false;
  }
}

async function telegramChats(given: unknown, revealed: Alerter['reveal'], signal: AbortSignal): ReturnType<Alerter['telegramChats']> {
  const { token, api } = v.parse(v.looseObject({ token: secretPlace, api: v.optional(v.string(), 'https://api.telegram.org') }), given);
  try {
    return chatsOf(await getJson(`${api}/bot${await revealed(token)}/getUpdates`, signal));
  } catch (cause) {
    signal.throwIfAborted();
    throw new DbkitError('service.failed', `Telegram does not say who has written to this bot: ${wordsOf(cause)}`, { cause });
  }
}

async function reveal(place: SecretPlace, { environment, readAsCaller }: SecretSources): Promise<string> {
  const given = 'env' in place ? environment[place.env] : fileText(place.file, readAsCaller).trim();
  if (!given && 'env' in place) throw new DbkitError('config.invalid', `the variable ${place.env} is not set`);
  rememberSecret(given ?? '');
  return given ?? '';
}

function fileText(path: string, readAsCaller: SecretSources['readAsCaller']): string {
  try {
    return readAsCaller(path);
  } catch (cause) {
    throw new DbkitError('config.invalid', `the secret's file ${path} cannot be read`, { cause });
  }
}
