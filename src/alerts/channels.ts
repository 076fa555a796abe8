import * as v from 'valibot';
import type { StampedAlert } from './alert.ts';
import type { Channel, ChannelNeeds } from './channel.ts';
import { command } from './channels/command.ts';
import { discord } from './channels/discord.ts';
import { email } from './channels/email.ts';
import { file } from './channels/file.ts';
import { ntfy } from './channels/ntfy.ts';
import { pagerduty } from './channels/pagerduty.ts';
import { slack } from './channels/slack.ts';
import { telegram } from './channels/telegram.ts';
import { webhook } from './channels/webhook.ts';

/** Every way to tell people, in the order in which `dbkit alert setup` offers them. */
export const channels = { email, telegram, slack, discord, pagerduty, ntfy, webhook, command, file } as const;
export type ChannelType = keyof typeof channels;

/** One entry of `alerts.channels`. */
export const channelSettings = v.variant('type', [
  email.settings,
  telegram.settings,
  slack.settings,
  discord.settings,
  pagerduty.settings,
  ntfy.settings,
  webhook.settings,
  command.settings,
  file.settings,
]);
export type ChannelSettings = v.InferOutput<typeof channelSettings>;

/** Sends one alert through the channel whose settings these are. Rejects with the reason. */
export const send = (settings: ChannelSettings, alert: StampedAlert, needs: ChannelNeeds, signal: AbortSignal): Promise<void> =>
  (channels[settings.type] as unknown as Channel<v.GenericSchema>).send(settings, alert, needs, signal); // The type named it.
