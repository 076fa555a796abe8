import type { Finding } from '../inspection/findings.ts';
import { inspectMisplacedPages } from '../inspection/misplaced-pages.ts';
import { readControl } from '../inspection/state.ts';
import { walk } from '../inspection/walk.ts';
import type { Local } from '../instance/local.ts';
import type { Silence } from '../instance/server/databases.ts';
import { findingKey } from '../recovery/plan.ts';
import type { Hold, PostgresqlOptions } from './hold.ts';
import { type Judgement, planFor } from './judge.ts';

/**
 * The verdict on a server that is stopped by now: where sessions of it came to no end, with what its files say of that. `isToBeLeft`: they say nothing, or
 * nothing that was not tried, so those databases are not asked again.
 */
export async function whyEndless(
  hold: Hold,
  options: PostgresqlOptions,
  { judgement, tried }: { readonly judgement: Judgement; readonly tried: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<Pick<Judgement, 'complaints' | 'plan'> & { readonly isToBeLeft: boolean }> {
  const { complaints, plan, endless } = judgement;
  if (endless.length === 0 || (plan !== undefined && plan.decision !== 'start')) return { complaints, plan, isToBeLeft: false };
  const found = misplacedPages(hold.local, endless, signal).filter((finding) => !tried.has(findingKey(finding)));
  if (found.length === 0) return { complaints: [], plan: undefined, isToBeLeft: true };
  const facts = { reported: found, tried, serving: false, answering: false };
  return { complaints: found, plan: await planFor(hold, options, facts, signal), isToBeLeft: false };
}

/** None where the server was not shut down in order: its files may be of several moments then. */
function misplacedPages({ volume: { dataDir } }: Local, endless: readonly Silence[], signal: AbortSignal): Finding[] {
  const read = readControl(dataDir);
  if (!('control' in read) || read.control.state !== 'shut down') return [];
  const homes = endless.map(({ path }) => path);
  const known = homes.some((path) => path === undefined) ? undefined : ['global', ...homes.flatMap((path) => path ?? [])];
  return inspectMisplacedPages(dataDir, walk(dataDir, signal), read.control, known);
}
