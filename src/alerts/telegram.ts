import { clipped, plainText, type StampedAlert } from './alert.ts';
import type { Post } from './http.ts';

/** sendMessage: 4,096 characters, sent as they are, without any markup (Telegram Bot API). */
export const telegramPost = (api: string, token: string, chatId: string, alert: StampedAlert): Post => ({
  url: `${api}/bot${token}/sendMessage`,
  body: { chat_id: chatId, text: clipped(plainText(alert), 4_096), disable_web_page_preview: true },
});
