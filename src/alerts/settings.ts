import * as v from 'valibot';
import { DURATION } from '../kernel/units.ts';
import { text } from './channel.ts';
import { channelSettings } from './channels.ts';

/** `alerts` in the configuration. */
export const alertSettings = v.strictObject({
  /** The name of these machines: 'production', 'staging'; it stands in every message. */
  environment: v.optional(text),
  /** The same trouble is told again after this long. */
  repeatAfter: v.optional(v.pipe(v.string(), v.regex(DURATION, 'expected a duration such as 30m or 12h')), '4h'),
  channels: v.optional(
    v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]*$/, 'is not a channel name (a-z, 0-9, -)')), channelSettings),
    {},
  ),
});
export type AlertSettings = v.InferOutput<typeof alertSettings>;
