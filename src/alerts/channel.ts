import type { ChannelSettings, SecretPlace } from '../config/alert-settings.ts';
import type { Files, Runner } from '../kernel/machine.ts';
import type { StampedAlert } from './alert.ts';
import { discordPost } from './discord.ts';
import { post } from './http.ts';
import { ntfyPost } from './ntfy.ts';
import { pagerdutyPosts } from './pagerduty.ts';
import { slackPost } from './slack.ts';
import { telegramPost } from './telegram.ts';

/** What channels may use of the machine. */
export interface ChannelNeeds {
  readonly runner: Runner;
  /** Reads a secret at the moment it is needed, so that one that was changed is used at once. */
  reveal(place: SecretPlace): Promise<string>;
  readonly childEnvironment: Readonly<Record<string, string>>;
  readonly files: Pick<Files, 'append'>;
}

const COMMAND_TIMEOUT_MS = 30_000;

/** Sends one alert through one channel, once. Rejects with the reason; no secret is in its words. */
export async function send(settings: ChannelSettings, alert: StampedAlert, needs: ChannelNeeds, signal: AbortSignal): Promise<void> {
  const { reveal, runner } = needs;
  switch (settings.type) {
    case 'file':
      return needs.files.append(settings.path, `${JSON.stringify(alert)}\n`, { mode: 0o600 });
    case 'command': {
      const [file, ...args] = settings.command;
      const tool = {
        file: file!,
        args,
        input: JSON.stringify(alert),
        env: { ...needs.childEnvironment },
        as: 'caller' as const,
        timeoutMs: COMMAND_TIMEOUT_MS,
      };
      await runner.run(tool, signal);
      return;
    }
    case 'webhook':
      return post({ url: await reveal(settings.url), body: { schema: 'dbkit.alert/v1', ...alert } }, signal);
    case 'slack':
      return post(slackPost(await reveal(settings.url), alert), signal);
    case 'discord':
      return post(discordPost(await reveal(settings.url), alert), signal);
    case 'telegram':
      return post(telegramPost(settings.api, await reveal(settings.token), settings.chatId, alert), signal);
    case 'ntfy':
      return post(ntfyPost(await reveal(settings.url), settings.token && (await reveal(settings.token)), alert), signal);
    case 'pagerduty':
      for (const one of pagerdutyPosts(settings.api, await reveal(settings.routingKey), alert)) await post(one, signal);
      return;
    case 'email': {
      const { sendMail } = await import('./email.ts');
      return sendMail(settings, settings.password && (await reveal(settings.password)), alert);
    }
  }
}
