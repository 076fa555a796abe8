import type { ChannelSettings } from '../config/alert-settings.ts';

export type ChannelType = ChannelSettings['type'];

/** One thing that `dbkit alert setup` asks a person. A secret goes into a file of its own, never into the configuration. */
export interface Question {
  readonly field: string;
  readonly words: string;
  readonly kind: 'text' | 'secret' | 'list' | 'number' | 'yes-no' | 'chat';
  /** May be left empty. */
  readonly isOptional?: boolean;
  readonly default?: string;
}

/** What each channel needs, in the order in which a person has it at hand. */
export const questions: Readonly<Record<ChannelType, readonly Question[]>> = {
  email: [
    { field: 'host', words: 'SMTP server', kind: 'text' },
    { field: 'port', words: 'Port', kind: 'number', default: '587' },
    { field: 'secure', words: 'TLS from the first byte (usual on port 465; else STARTTLS)?', kind: 'yes-no', default: 'no' },
    { field: 'user', words: 'User name (empty: none)', kind: 'text', isOptional: true },
    { field: 'password', words: 'Password (empty: none)', kind: 'secret', isOptional: true },
    { field: 'sender', words: 'Sender', kind: 'text' },
    { field: 'to', words: 'Recipients, separated by commas', kind: 'list' },
  ],
  telegram: [
    { field: 'token', words: 'Token of the bot (@BotFather gives one)', kind: 'secret' },
    { field: 'chatId', words: 'Chat', kind: 'chat' },
  ],
  slack: [{ field: 'url', words: 'Address of the incoming webhook', kind: 'secret' }],
  discord: [{ field: 'url', words: 'Address of the webhook', kind: 'secret' }],
  pagerduty: [{ field: 'routingKey', words: 'Integration key (Events API v2)', kind: 'secret' }],
  ntfy: [
    { field: 'url', words: 'Address with the topic, like https://ntfy.sh/TOPIC', kind: 'secret' },
    { field: 'token', words: 'Access token (empty: none)', kind: 'secret', isOptional: true },
  ],
  webhook: [{ field: 'url', words: 'Address that takes a POST with JSON', kind: 'secret' }],
  command: [{ field: 'command', words: 'Program and its arguments, separated by commas; it gets JSON on its stdin', kind: 'list' }],
  file: [{ field: 'path', words: 'Absolute path of the file', kind: 'text' }],
};

/** A chat that has written to a bot. */
export interface Chat {
  readonly id: string;
  readonly name: string;
}

/** Pure: the chats in the answer of Telegram's getUpdates, the newest first (core.telegram.org/bots/api#getupdates). */
export function chatsOf(answer: unknown): Chat[] {
  const { result } = (answer ?? {}) as { result?: unknown };
  const chats = new Map<string, Chat>();
  for (const update of Array.isArray(result) ? result.toReversed() : []) {
    const {
      message,
      channel_post: post,
      my_chat_member: member,
    } = update as Record<string, { chat?: Record<string, unknown> } | undefined>;
    const chat = (message ?? post ?? member)?.chat;
    if (chat?.['id'] === undefined) continue;
    const id = String(chat['id']);
    const names = [chat['title'], [chat['first_name'], chat['last_name']].filter(Boolean).join(' '), chat['username']];
    if (!chats.has(id)) chats.set(id, { id, name: String(names.find(Boolean) ?? id) });
  }
  return [...chats.values()];
}
