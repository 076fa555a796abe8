import * as v from 'valibot';
import { secret, text } from '../alerts/channel.ts';
import { DURATION } from '../kernel/units.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const path = v.pipe(text, v.startsWith('/', 'must be an absolute path'));

const common = {
  /** Public keys of age; without any, whoever reads the place reads the data. */
  recipients: v.optional(v.array(v.pipe(v.string(), v.regex(/^age1[a-z0-9]+$/, 'is no public key of age (age1…)'))), []),
  /** Only where backups are brought back. */
  identity: v.optional(secret),
  /** After every good backup. */
  afterBackup: v.optional(v.boolean(), true),
  /** `always`: new WAL is sent there while the supervisor runs. `with-backups`: only with a backup that is copied. */
  wal: v.optional(v.picklist(['always', 'with-backups']), 'always'),
  /** No backup expires here before it is verified there. */
  awaited: v.optional(v.boolean(), true),
  /** Default: nothing expires there. */
  retention: v.optional(
    v.strictObject({
      last: v.pipe(count, v.minValue(1)),
      daily: v.optional(count, 0),
      weekly: v.optional(count, 0),
      monthly: v.optional(count, 0),
      maxAge: v.optional(v.pipe(v.string(), v.regex(DURATION, 'expected a duration such as 12h, 30d or 8w'))),
    }),
  ),
};

const directory = v.strictObject({ type: v.literal('directory'), path, ...common });

/** A bucket, and who may write to it. */
export const bucket = {
  bucket: text,
  /** Default: Amazon's own. */
  endpoint: v.optional(v.pipe(v.string(), v.url('must be a URL'))),
  region: v.optional(text, 'us-east-1'),
  prefix: v.optional(v.pipe(v.string(), v.regex(/^([A-Za-z0-9_][A-Za-z0-9._-]*\/)*$/, 'must end with a slash and not begin with one')), ''),
  /** The bucket in the path of the URL, as most servers beside Amazon's want it. Default: where an endpoint is given. */
  pathStyle: v.optional(v.boolean()),
  accessKeyId: secret,
  secretAccessKey: secret,
  sessionToken: v.optional(secret),
};

const s3 = v.strictObject({ type: v.literal('s3'), ...bucket, ...common });

/** `copies` in the configuration: other places that backups and WAL are copied to, by name. */
export const copiesSettings = v.record(
  v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]*$/, 'is not a name of a copy (a-z, 0-9, -)')),
  v.variant('type', [directory, s3]),
);
export type CopySettings = v.InferOutput<typeof copiesSettings>[string];
