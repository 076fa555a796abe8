import * as v from 'valibot';
import { listenAddress } from '../kernel/listen-address.ts';
import { severities } from '../kernel/severity.ts';
import { DURATION } from '../kernel/units.ts';

const text = v.pipe(v.string(), v.nonEmpty('must not be empty'));
/** Secrets are never in the configuration itself: it names the file, or the variable, that holds one. */
export const secret = v.union(
  [v.strictObject({ file: v.pipe(text, v.startsWith('/', 'must be an absolute path')) }), v.strictObject({ env: text })],
  'must name where the secret is: { file: /path } or { env: NAME }',
);
export type SecretPlace = v.InferOutput<typeof secret>;
const from = { severities: v.optional(v.array(v.picklist(severities)), ['WARNING', 'ERROR', 'CRITICAL', 'SUCCESS']) };

/** Where alerts are sent: one row for each channel there is. */
export const channelSettings = v.variant('type', [
  v.strictObject({ type: v.literal('file'), path: v.pipe(text, v.startsWith('/', 'must be an absolute path')), ...from }),
  v.strictObject({ type: v.literal('command'), command: v.pipe(v.array(text), v.minLength(1, 'needs a program')), ...from }),
  v.strictObject({ type: v.literal('webhook'), url: secret, ...from }),
  v.strictObject({ type: v.literal('slack'), url: secret, ...from }),
  v.strictObject({ type: v.literal('discord'), url: secret, ...from }),
  v.strictObject({ type: v.literal('telegram'), token: secret, chatId: text, api: v.optional(text, 'https://api.telegram.org'), ...from }),
  v.strictObject({ type: v.literal('ntfy'), url: secret, token: v.optional(secret), ...from }),
  v.strictObject({ type: v.literal('pagerduty'), routingKey: secret, api: v.optional(text, 'https://events.pagerduty.com'), ...from }),
  v.strictObject({
    type: v.literal('email'),
    host: text,
    port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)), 587),
    /** TLS from the first byte (port 465); else STARTTLS, which must succeed unless the server is this machine. */
    secure: v.optional(v.boolean(), false),
    user: v.optional(text),
    password: v.optional(secret),
    sender: text,
    to: v.pipe(v.array(text), v.minLength(1, 'needs a recipient')),
    ...from,
  }),
]);
export type ChannelSettings = v.InferOutput<typeof channelSettings>;

export const alertSettings = v.strictObject({
  /** What these machines are: 'production', 'staging'; it stands in every message. */
  environment: v.optional(text),
  /** The same trouble is told again after this long. */
  repeatAfter: v.optional(v.pipe(v.string(), v.regex(DURATION, 'expected a duration such as 30m or 12h')), '4h'),
  channels: v.optional(
    v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]*$/, 'is not a channel name (a-z, 0-9, -)')), channelSettings),
    {},
  ),
});

/** When the monitor looks, and when it acts. */
export const monitorSettings = v.strictObject({
  /** Watches as part of `dbkit entrypoint` and `dbkit up`. */
  enabled: v.optional(v.boolean(), false),
  intervalSeconds: v.optional(v.pipe(v.number(), v.minValue(0.1)), 60),
  /** Checks in a row that must fail before anything is done. */
  maxFailures: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 3),
  cooldownSeconds: v.optional(v.pipe(v.number(), v.minValue(0)), 3600),
  /** Recoveries, with no whole cooldown of health in between, after which a person must look. */
  maxRecoveries: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 3),
  /** Where its page and figures are shown over HTTP: '127.0.0.1:9879', or '*:9879' for every address. */
  listen: v.optional(
    v.pipe(
      text,
      v.check((address) => listenAddress(address) !== undefined, "must be PORT, HOST:PORT, or '*:PORT' for every address"),
    ),
  ),
  /** More names that its page may be asked by: any address, and any name without a dot, may always. */
  hosts: v.optional(v.array(v.pipe(text, v.toLowerCase())), []),
  /** Asked after each check, so that somebody else notices when this monitor falls silent. */
  pingUrl: v.optional(secret),
  /** How a server that dbkit does not supervise is started; default: `dbkit up --detach`. */
  startCommand: v.optional(v.pipe(v.array(text), v.minLength(1, 'needs a program'))),
});
