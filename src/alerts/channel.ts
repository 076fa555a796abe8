import * as v from 'valibot';
import type { Files, Runner } from '../kernel/machine.ts';
import { severities } from '../kernel/severity.ts';
import type { StampedAlert } from './alert.ts';
import type { Post } from './http.ts';

export const text = v.pipe(v.string(), v.nonEmpty('must not be empty'));
/** Secrets are never in the configuration itself: it names the file, or the variable, that holds one. */
export const secret = v.union(
  [v.strictObject({ file: v.pipe(text, v.startsWith('/', 'must be an absolute path')) }), v.strictObject({ env: text })],
  'must name where the secret is: { file: /path } or { env: NAME }',
);
export type SecretPlace = v.InferOutput<typeof secret>;

/** Which alerts a channel hears; part of each channel's settings. */
export const heard = { severities: v.optional(v.array(v.picklist(severities)), ['WARNING', 'ERROR', 'CRITICAL', 'SUCCESS']) };

/** One thing that `dbkit alert setup` asks a person. A secret goes into a file of its own, never into the configuration. */
export interface Question {
  readonly field: string;
  readonly words: string;
  readonly kind: 'text' | 'secret' | 'list' | 'number' | 'yes-no' | 'chat';
  /** May be left empty. */
  readonly isOptional?: boolean;
  readonly default?: string;
}

/** The part of the machine that channels may use. */
export interface ChannelNeeds {
  readonly runner: Runner;
  /** Reads a secret at the moment it is needed, so that one that was changed is used at once. */
  reveal(place: SecretPlace): Promise<string>;
  /** An HTTP POST that must be answered with a 2xx; rejects without the URL in its words. */
  post(one: Post, signal: AbortSignal): Promise<void>;
  readonly childEnvironment: Readonly<Record<string, string>>;
  readonly files: Pick<Files, 'append'>;
}

/** One way to tell people: its settings in `alerts.channels`, what `dbkit alert setup` asks for them, and how a message is sent. */
export interface Channel<Settings extends v.GenericSchema> {
  readonly settings: Settings;
  /** In the order in which a person has the answers at hand. */
  readonly questions: readonly Question[];
  /** Sends one alert, once. Rejects with the reason; no secret is in its words. */
  send(settings: v.InferOutput<Settings>, alert: StampedAlert, needs: ChannelNeeds, signal: AbortSignal): Promise<void>;
}

/** Lets the compiler know `send`'s settings from the schema beside it. */
export const channel = <const Settings extends v.GenericSchema>(one: Channel<Settings>): Channel<Settings> => one;
