import * as v from 'valibot';
import { secret, text } from '../alerts/channel.ts';
import { bucket } from './copies-settings.ts';

const path = v.pipe(text, v.startsWith('/', 'must be an absolute path'));
const line = v.check((value: string) => !/[\n\r]/.test(value), 'must be one line'); // It becomes a line of a file.

/** pgBackRest as the engine of base backups (backup.engine), with its repository. */
export const pgbackrestSettings = v.strictObject({
  /** Default: pgbackrest in PATH. */
  program: v.optional(path),
  stanza: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/, 'is no name of a stanza (A-Z, a-z, 0-9, _, -)')), 'main'),
  /** Default: the folder pgbackrest of backupDir. */
  repository: v.optional(
    v.variant('type', [
      v.strictObject({ type: v.literal('directory'), path: v.pipe(path, line) }),
      v.strictObject({
        type: v.literal('s3'),
        ...bucket,
        /** It speaks TLS only. */
        endpoint: v.optional(v.pipe(v.string(), v.regex(/^https:\/\/[^/?#\s]+\/?$/, 'must be a URL like https://s3.example.com:9000'))),
        /** Certificates that the endpoint is checked with; default: the machine's. */
        caFile: v.optional(v.pipe(path, line)),
      }),
    ]),
  ),
  /** The repository is encrypted with it (AES-256); default: it is not. */
  cipherPass: v.optional(secret),
  /** A backup between two full ones holds what changed since the last backup (incr) or since the last full one (diff). */
  between: v.optional(v.picklist(['incr', 'diff']), 'incr'),
  processes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)), 2),
  compress: v.optional(v.picklist(['zst', 'lz4', 'gz', 'bz2', 'none']), 'zst'),
  /** Small files are stored together. */
  bundle: v.optional(v.boolean(), true),
  /** Of a file that changed only blocks are stored, where the program has that. */
  block: v.optional(v.boolean(), true),
  /** WAL is sent and fetched by processes that look ahead. */
  async: v.optional(v.boolean(), true),
});
export type PgbackrestSettings = v.InferOutput<typeof pgbackrestSettings>;

/** The parts of the configuration that an engine has a say in. */
interface Engines {
  readonly backup: { readonly engine: 'dbkit' | 'pgbackrest'; readonly rateLimit?: string | undefined };
  readonly wal: { readonly mode?: string | undefined; readonly synchronous: boolean };
  readonly services: Readonly<Record<string, unknown>>;
}

/** Settings that pgBackRest has no use for: each is said, none is passed over. */
export const engineRules: readonly { readonly path: readonly string[]; when(config: Engines): boolean; readonly words: string }[] = [
  {
    path: ['wal', 'mode'],
    when: ({ wal }) => wal.mode === 'tail',
    words: 'pgBackRest keeps the WAL where backup.engine is pgbackrest: leave it out',
  },
  {
    path: ['wal', 'synchronous'],
    when: ({ wal }) => wal.synchronous,
    words: 'commits can wait for dbkit’s own archive only: leave it out, or set backup.engine to dbkit',
  },
  {
    path: ['backup', 'rateLimit'],
    when: ({ backup }) => backup.rateLimit !== undefined,
    words: 'pgBackRest has no such limit: leave it out, and set pgbackrest.processes to 1',
  },
  {
    path: ['services', 'patroni'],
    when: ({ services }) => 'patroni' in services,
    words: 'Patroni has pgBackRest of its own (create_replica_methods): set backup.engine to dbkit here',
  },
];

/** The settings that stand against the engine, as valibot's issues. */
export const engineProblems = (config: Engines): readonly { readonly message: string; readonly path: Path }[] =>
  config.backup.engine === 'pgbackrest'
    ? engineRules.filter(({ when }) => when(config)).map(({ path, words }) => ({ message: words, path: pathTo(config, path) }))
    : [];

type Path = [v.ObjectPathItem, ...v.ObjectPathItem[]];

/** As valibot wants it: each key with what it is in. */
function pathTo(input: object, keys: readonly string[]): Path {
  let at: unknown = input;
  const items = keys.map((key): v.ObjectPathItem => {
    const above = at as Record<string, unknown>;
    at = above[key];
    return { type: 'object', origin: 'value', input: above, key, value: at };
  });
  return items as Path;
}
