import { join } from 'node:path';
import * as v from 'valibot';
import { DbkitError } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { readInfo } from './catalog.ts';
import type { Rest } from './program.ts';

const STANZA_MS = 120_000;
/** The supervisor makes it too, right after a start, and the server archives meanwhile: each holds the lock for a moment. */
const LOCK_MS = 30_000;
const LOCK_POLL_MS = 500;
const schema = v.object({ schema: v.literal('dbkit.stanza/v1'), systemIdentifier: v.pipe(v.string(), v.regex(/^\d{1,20}$/)) });

/** The facts of a stanza before it is used for a cluster. */
export interface StanzaFacts {
  readonly own: string;
  /** Clusters that the stanza was ever of, the last one now. */
  readonly clusters: readonly string[];
  /** The cluster that was sent to this stanza from here before. */
  readonly sentBefore: string | undefined;
}

/** Pure. A stanza that was never this instance's is left alone: two clusters in one would push out each other's backups. */
export function stanzaStep({ own, clusters, sentBefore }: StanzaFacts): 'create' | 'use' | 'upgrade' | 'refuse' {
  const now = clusters.at(-1);
  if (now === undefined) return 'create';
  if (now === own) return 'use';
  return clusters.includes(own) || now === sentBefore ? 'upgrade' : 'refuse';
}

/**
 * Makes the stanza where it is missing, and tells it of a new cluster in this place: one of a newer major, or one made from nothing. It reads pg_control
 * only, so the server need not run. Rejects with `data.foreign` for a stanza of somebody else's cluster.
 */
export async function ensureStanza(
  rest: Rest,
  { systemIdentifier: own, system }: { readonly systemIdentifier: string; readonly system: Pick<System, 'files' | 'clock'> },
  signal: AbortSignal,
): Promise<void> {
  const { clock } = system;
  for (const untilMs = clock.monotonicMs() + LOCK_MS; ; ) {
    try {
      await makeOrUse(rest, own, system, signal);
      return;
    } catch (cause) {
      if (!(cause instanceof DbkitError && cause.code === 'lock.held') || clock.monotonicMs() >= untilMs) throw cause;
    }
    await clock.sleep(LOCK_POLL_MS, signal);
  }
}

async function makeOrUse(rest: Rest, own: string, { files }: Pick<System, 'files'>, signal: AbortSignal): Promise<void> {
  const { places, stanza } = await rest.prepare();
  const memory = join(places.folder, 'stanza.json');
  const sentBefore = (await files.readJson(memory, (value) => v.parse(schema, value)))?.systemIdentifier;
  const { clusters } = await readInfo(rest, signal);
  const step = stanzaStep({ own, clusters: clusters.map(({ systemIdentifier }) => systemIdentifier), sentBefore });
  if (step === 'refuse')
    throw new DbkitError('data.foreign', `the stanza ${stanza} of pgBackRest is that of another cluster`, {
      hint: 'give this one a stanza or a repository of its own: pgbackrest.stanza, pgbackrest.repository',
    });
  if (step !== 'use') await rest.run(`stanza-${step}`, { args: ['--no-online'], timeoutMs: STANZA_MS }, signal);
  if (sentBefore !== own)
    await files.write(memory, `${JSON.stringify({ schema: 'dbkit.stanza/v1', systemIdentifier: own })}\n`, { mode: 0o600 });
}
