import * as v from 'valibot';
import { channel, heard, text } from '../channel.ts';

/** One JSON object a line. */
export const file = channel({
  settings: v.strictObject({ type: v.literal('file'), path: v.pipe(text, v.startsWith('/', 'must be an absolute path')), ...heard }),
  questions: [{ field: 'path', words: 'Absolute path of the file', kind: 'text' }],
  send: ({ path }, alert, { files }) => files.append(path, `${JSON.stringify(alert)}\n`, { mode: 0o600 }),
});
