import * as v from 'valibot';
import { secret, text } from '../alerts/channel.ts';

const url = v.pipe(v.string(), v.regex(/^https?:\/\/[^/?#]+\/?$/, 'must be a URL without a path, such as http://10.0.0.1:8008'));
const hostAndPort = v.pipe(v.string(), v.regex(/^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$/, 'expected HOST:PORT'));

/** The Patroni cluster that `dbkit ha` asks. dbkit elects and promotes nobody: it asks Patroni to. */
export const haSettings = v.strictObject({
  /** Each member by its name in Patroni: where its REST API is, and where its PostgreSQL is if that is not the same host and postgresql.port. */
  members: v.optional(
    v.record(
      v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'is not a name of a member')),
      v.strictObject({ api: url, server: v.optional(hostAndPort) }),
    ),
    {},
  ),
  /** Where applications write: HAProxy, a virtual address, or a service of Kubernetes. */
  writeAddress: v.optional(hostAndPort),
  /** PgBouncer, whose admin console takes PAUSE and RESUME. */
  pooler: v.optional(hostAndPort),
  /** The name for Patroni's REST API where it asks for one (restapi.authentication). */
  apiUsername: v.optional(text),
  /** Its password: where it is. */
  apiPassword: v.optional(secret),
});
export type HaSettings = v.InferOutput<typeof haSettings>;
