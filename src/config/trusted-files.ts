import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';

const trustedSchema = v.object({
  schema: v.literal('dbkit.trusted/v1'),
  files: v.array(v.object({ path: v.string(), sha256: v.string() })),
});
type Trusted = v.InferOutput<typeof trustedSchema>;

/** Each user has a list of one's own, below the home that /etc/passwd names: HOME may be somebody else's (sudo, su). */
const listOf = ({ home }: Identity): string => join(home, '.config/dbkit/trusted.json');

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

type Needs = Pick<System, 'files' | 'self' | 'rights'>;

async function readList({ files, self, rights }: Needs): Promise<Trusted['files']> {
  const path = listOf(self);
  if (rights.whoElseMayWrite(path) !== undefined) return []; // Somebody else could have written it.
  return (await files.readJson(path, (value) => v.parse(trustedSchema, value)).catch(() => undefined))?.files ?? [];
}

/** True when this user has looked at exactly this text at this place. */
export async function isTrusted(path: string, text: string, needs: Needs): Promise<boolean> {
  const at = await realpath(path).catch(() => path);
  return (await readList(needs)).some((file) => file.path === at && file.sha256 === digest(text));
}

export interface TrustReport {
  readonly path: string;
  readonly sha256: string;
  readonly outcome: 'trusted' | 'forgotten';
  /** The list of this user's. */
  readonly keptIn: string;
}

/** Remembers the bytes of a configuration file as looked at, or forgets them. Rejects with `config.invalid` when it cannot be read. */
export async function trustFile(
  { from, file, forget }: { readonly from: string; readonly file: string; readonly forget: boolean },
  needs: Needs,
): Promise<TrustReport> {
  const named = resolve(from, file);
  const path = await realpath(named).catch(() => named);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DbkitError('config.invalid', `${path} cannot be read (${errnoOf(cause)})`, {
      hint: 'name the file: `dbkit config trust FILE`',
    });
  });
  const others = (await readList(needs)).filter((known) => known.path !== path);
  const files = forget ? others : [...others, { path, sha256: digest(text) }];
  const keptIn = listOf(needs.self);
  await needs.files.makeDirectory(join(keptIn, '..'), { mode: 0o700 });
  await needs.files.write(keptIn, `${JSON.stringify({ schema: 'dbkit.trusted/v1', files } satisfies Trusted, null, 2)}\n`, { mode: 0o600 });
  return { path, sha256: digest(text), outcome: forget ? 'forgotten' : 'trusted', keptIn };
}
