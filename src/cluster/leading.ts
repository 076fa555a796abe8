import type { Config } from '../config/config.ts';
import type { Leading } from '../health/leading.ts';
import { type Member, membersOf } from './members.ts';
import { type AskPatroni, createPatroni } from './patroni.ts';

export const createLeading = ({ config: { ha, postgresql } }: { readonly config: Pick<Config, 'ha' | 'postgresql'> }): Leading => ({
  leader: (signal) => leaderAmong(membersOf(ha, postgresql.port), createPatroni(undefined), signal),
});

/** Every one is asked itself: the store of agreement may be gone, and only the holder of the lock answers 200. */
export async function leaderAmong(members: readonly Member[], ask: AskPatroni, signal: AbortSignal): Promise<string | null> {
  const answers = await Promise.all(members.map((member) => ask(member, '/leader', signal)));
  return members.find((_one, index) => answers[index]!.status === 200)?.name ?? null;
}
