import type { System } from '../../kernel/machine.ts';
import { stopServer, writableServerOn } from './fence.ts';
import type { MemberFile } from './member-file.ts';

const STOP_MS = 5_000;

/** A restart of Patroni on a leader of the past acknowledges commits that nobody else has, before it stops the server. */
export async function stopStale(
  { name, dataDir }: MemberFile,
  { clock, log }: Pick<System, 'clock' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  if ((await writableServerOn(dataDir)) === undefined) return;
  const pid = await stopServer(dataDir, { timeoutMs: STOP_MS, clock, signal });
  if (pid !== undefined)
    log.warn(
      'member.stale',
      `the server of ${name} took writes and nobody could prove that it leads: it was stopped before Patroni starts`,
      { pid },
    );
}
