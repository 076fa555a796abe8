import * as v from 'valibot';
import { channel, heard, secret } from '../channel.ts';

/** The alert as JSON, to anybody's address. */
export const webhook = channel({
  settings: v.strictObject({ type: v.literal('webhook'), url: secret, ...heard }),
  questions: [{ field: 'url', words: 'Address that takes a POST with JSON', kind: 'secret' }],
  send: async ({ url }, alert, { reveal, post }, signal) =>
    post({ url: await reveal(url), body: { schema: 'dbkit.alert/v1', ...alert } }, signal),
});
