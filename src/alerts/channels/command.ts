import * as v from 'valibot';
import { channel, heard, text } from '../channel.ts';

const TIMEOUT_MS = 30_000;

/** A program of the user's, which gets the alert as JSON on its stdin. */
export const command = channel({
  settings: v.strictObject({ type: v.literal('command'), command: v.pipe(v.array(text), v.minLength(1, 'needs a program')), ...heard }),
  questions: [{ field: 'command', words: 'Program and its arguments, separated by commas; it gets JSON on its stdin', kind: 'list' }],
  send: async ({ command: [program, ...args] }, alert, { runner, childEnvironment }, signal) => {
    const input = JSON.stringify(alert);
    await runner.run({ file: program!, args, input, env: { ...childEnvironment }, as: 'caller', timeoutMs: TIMEOUT_MS }, signal);
  },
});
