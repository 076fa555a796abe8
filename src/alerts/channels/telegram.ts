import * as v from 'valibot';
import { clipped, plainText, type StampedAlert } from '../alert.ts';
import { channel, heard, secret, text } from '../channel.ts';
import type { Post } from '../http.ts';

/** sendMessage: 4,096 characters, sent as they are, without any markup (Telegram Bot API). */
export const telegramPost = (api: string, token: string, chatId: string, alert: StampedAlert): Post => ({
  url: `${api}/bot${token}/sendMessage`,
  body: { chat_id: chatId, text: clipped(plainText(alert), 4_096), disable_web_page_preview: true },
});

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

export const telegram = channel({
  settings: v.strictObject({
    type: v.literal('telegram'),
    token: secret,
    chatId: text,
    api: v.optional(text, 'https://api.telegram.org'),
    ...heard,
  }),
  questions: [
    { field: 'token', words: 'Token of the bot (@BotFather gives one)', kind: 'secret' },
    { field: 'chatId', words: 'Chat', kind: 'chat' },
  ],
  send: async ({ api, token, chatId }, alert, { reveal, post }, signal) =>
    post(telegramPost(api, await reveal(token), chatId, alert), signal),
});
