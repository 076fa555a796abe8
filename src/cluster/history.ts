import { readHistory, type TimelineChange } from './answers.ts';
import type { Reach } from './look.ts';

/** Every change of timeline, the oldest first, from the member that knows most of them; undefined where no member answers for it. */
export async function historyOf({ members, ask }: Reach, signal: AbortSignal): Promise<readonly TimelineChange[] | undefined> {
  const told = await Promise.all(members.map(async (member) => readHistory((await ask(member, '/history', signal)).json)));
  return told.filter((one) => one !== undefined).sort((a, b) => b.length - a.length)[0];
}
