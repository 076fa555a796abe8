import type { Alert, StampedAlert } from './alert.ts';
import type { SecretPlace } from './channel.ts';
import type { Chat } from './channels/telegram.ts';

/** Tells people. */
export interface Alerter {
  readonly channels: readonly string[];
  /** Never rejects; resolves when every channel has it, or has been given up. What was told already is not told again. */
  tell(alert: Alert, signal: AbortSignal): Promise<void>;
  /** Every alert that was news, oldest first, the last five hundred; also where no channel is configured. Never rejects. */
  history(): Promise<readonly StampedAlert[]>;
  /** Rejects with `usage.invalid` for a channel that there is not, `service.failed` with the reason when it does not get through. */
  test(channel: string, signal: AbortSignal): Promise<void>;
  /** The same for settings that are not in the configuration yet; `config.invalid` when they cannot be a channel's. */
  tryOut(channel: string, settings: unknown, signal: AbortSignal): Promise<void>;
  /** Chats that have written to the bot of these settings of a Telegram channel (`token`, `api`). */
  telegramChats(settings: unknown, signal: AbortSignal): Promise<readonly Chat[]>;
  /** The secret that is kept there. Rejects with `config.invalid` when it is not. */
  reveal(place: SecretPlace): Promise<string>;
}
