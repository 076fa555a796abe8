import { DbkitError } from '../kernel/errors.ts';
import type { Question } from './channel.ts';
import type { Chat } from './channels/telegram.ts';
import { type ChannelType, channels } from './channels.ts';
import type { Alerter } from './contract.ts';
import type { AlertSettings } from './settings.ts';

/** Where a new channel is written down; config/settings-file.ts is one. */
export interface ChannelFile {
  /** Puts a value under these keys and keeps everything else; where it is now. Rejects with `config.invalid`. */
  set(keys: readonly string[], value: unknown): Promise<string>;
  keepSecret(name: string, text: string): Promise<string>;
  forgetSecret(file: string): Promise<void>;
}

/** How a person is asked. Each rejects with `recovery.refused` when he leaves. */
export interface Asking {
  text(words: string, options: { readonly default?: string | undefined; readonly isOptional: boolean }): Promise<string>;
  secret(words: string, options: { readonly isOptional: boolean }): Promise<string>;
  yes(words: string, suggestion: boolean): Promise<boolean>;
  choose(words: string, choices: readonly { readonly name: string; readonly value: string }[]): Promise<string>;
  say(words: string): void;
}

export interface AlertSetupReport {
  readonly channel: string;
  readonly type: ChannelType;
  /** The configuration file that names it now. */
  readonly configFile: string;
  /** Files that hold its secrets, 0600. */
  readonly secretFiles: readonly string[];
  /** True when a test message got through before it was written down. */
  readonly tested: boolean;
}

/**
 * Asks for what a channel needs, sends a test through it, and writes it into the configuration, comments preserved; secrets go into files of
 * their own. Nothing is left behind when the person gives up. Rejects with `usage.invalid` for a name that is taken or none.
 */
export async function setupAlert(
  {
    config,
    alerts,
    settingsFile,
  }: { readonly config: { readonly alerts: AlertSettings }; readonly alerts: Alerter; readonly settingsFile: ChannelFile },
  asking: Asking,
  signal: AbortSignal,
): Promise<AlertSetupReport> {
  const type = (await asking.choose(
    'Through what shall people be told?',
    Object.keys(channels).map((value) => ({ name: value, value })),
  )) as ChannelType;
  const channel = await asking.text('Its name in the configuration', { default: type, isOptional: false });
  if (config.alerts.channels[channel])
    throw new DbkitError('usage.invalid', `there is a channel ${channel} already`, {
      hint: 'give the new one another name, or take the old one out of the configuration; nothing was changed',
    });
  const settings: Record<string, unknown> = { type };
  const secretFiles: string[] = [];
  try {
    for (const question of channels[type].questions) {
      const value = await answerTo(question, { asking, alerts, settings }, signal);
      if (value === undefined) continue;
      if (question.kind !== 'secret') settings[question.field] = value;
      else {
        const file = await settingsFile.keepSecret(`${channel}-${question.field}`, String(value));
        secretFiles.push(file);
        settings[question.field] = { file };
      }
    }
    const tested = await tryOut({ alerts, asking }, channel, settings, signal);
    const configFile = await settingsFile.set(['alerts', 'channels', channel], settings);
    return { channel, type, configFile, secretFiles, tested };
  } catch (cause) {
    for (const file of secretFiles) await settingsFile.forgetSecret(file);
    throw cause;
  }
}

async function answerTo(
  { words, kind, isOptional = false, default: suggestion }: Question,
  { asking, alerts, settings }: { readonly asking: Asking; readonly alerts: Alerter; readonly settings: Readonly<Record<string, unknown>> },
  signal: AbortSignal,
): Promise<string | number | boolean | readonly string[] | undefined> {
  switch (kind) {
    case 'yes-no':
      return asking.yes(words, suggestion === 'yes');
    case 'secret':
      return (await asking.secret(words, { isOptional })) || undefined;
    case 'number':
      return Number(await asking.text(words, { default: suggestion, isOptional }));
    case 'list':
      return (await asking.text(words, { default: suggestion, isOptional }))
        .split(',')
        .map((one) => one.trim())
        .filter(Boolean);
    case 'chat':
      return chooseChat({ asking, alerts, settings }, signal);
    case 'text':
      return (await asking.text(words, { default: suggestion, isOptional })) || undefined;
  }
}

const OTHER = 'another';

/** A bot may only write to whoever has written to it: his chat is among the bot's updates then. */
async function chooseChat(
  { asking, alerts, settings }: { readonly asking: Asking; readonly alerts: Alerter; readonly settings: Readonly<Record<string, unknown>> },
  signal: AbortSignal,
): Promise<string> {
  for (;;) {
    asking.say('Write anything to the bot now, or add it to the group that shall be told.');
    if (!(await asking.yes('Done?', true))) break;
    const found = await alerts.telegramChats(settings, signal).catch((cause: unknown): Chat[] => {
      asking.say(cause instanceof Error ? cause.message : String(cause));
      return [];
    });
    if (found.length === 0) {
      asking.say('Nobody has written to this bot yet.');
      continue;
    }
    const choices = found.map(({ id, name }) => ({ name: `${name} (${id})`, value: id }));
    const chosen = await asking.choose('Which chat?', [...choices, { name: 'another: I know its id', value: OTHER }]);
    if (chosen !== OTHER) return chosen;
    break;
  }
  return asking.text('Id of the chat', { isOptional: false });
}

/** False: it did not get through, and the person wants it all the same. */
async function tryOut(
  { alerts, asking }: { readonly alerts: Alerter; readonly asking: Asking },
  channel: string,
  settings: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await alerts.tryOut(channel, settings, signal);
    asking.say('A test message got through.');
    return true;
  } catch (cause) {
    signal.throwIfAborted();
    if (!(cause instanceof DbkitError)) throw cause;
    asking.say(cause.message);
    if (cause.code !== 'config.invalid' && (await asking.yes('Write it into the configuration all the same?', false))) return false;
    throw new DbkitError('recovery.refused', 'the channel was not set up; nothing was changed', {
      hint: 'run `dbkit alert setup` again',
      cause,
    });
  }
}
