import * as v from 'valibot';
import { secret, text } from '../alerts/channel.ts';
import { listenAddress } from '../kernel/listen-address.ts';

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
