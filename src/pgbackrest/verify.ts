import { DbkitError } from '../kernel/errors.ts';
import { has } from './features.ts';
import { SET } from './info.ts';
import type { Rest } from './program.ts';

const VERIFY_MS = 24 * 3_600_000;

/** Of each backup that was looked at, by pgBackRest's own name: null, or what is wrong. */
export type Verified = ReadonlyMap<string, string | null>;

/**
 * Lets pgBackRest read every stored byte again. Before version 2.55 it always reads the whole repository; `set` is only asked for by itself where it
 * can be. Rejects with `store.unavailable` where it cannot be read.
 */
export async function verifySets(rest: Rest, set: string, signal: AbortSignal): Promise<Verified> {
  const { version } = await rest.prepare();
  const one = has(version, 'verify-one') ? [`--set=${set}`] : [];
  const said = await rest.run('verify', { args: ['--output=text', '--verbose', ...one], timeoutMs: VERIFY_MS }, signal);
  return parseVerify(said);
}

/** Pure. The text of `verify --output=text --verbose` (verify.c, verifyRender); its exit status says nothing. Rejects with `tool.failed` for other text. */
export function parseVerify(said: string): Verified {
  const lines = said.split('\n');
  const found = new Map<string, string | null>();
  for (const [index, line] of lines.entries()) {
    const [, set, status] = /^\s*backup: (\S+), status: ([^,]+)/.exec(line) ?? [];
    if (set === undefined || !SET.test(set)) continue;
    found.set(set, status === 'valid' ? null : `pgBackRest says ${status}: ${countsIn(lines[index + 1] ?? '')}`);
  }
  if (found.size > 0 || /^stanza: /m.test(said)) return found;
  throw new DbkitError('tool.failed', 'the answer of pgbackrest verify is not understood', {
    hint: 'this dbkit knows pgBackRest 2.45 to 2.55',
  });
}

/** 'missing: 0, checksum invalid: 1, …' → the counts that are not 0. */
const countsIn = (line: string): string =>
  line
    .trim()
    .split(', ')
    .filter((part) => /^[a-z ]+: [1-9]\d*$/.test(part))
    .join(', ') || 'it is not complete';
