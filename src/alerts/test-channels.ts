import { DbkitError } from '../kernel/errors.ts';
import type { Alerter } from './contract.ts';

export interface AlertTestReport {
  readonly channels: readonly { readonly name: string; readonly ok: boolean; readonly words: string; readonly hint: string | null }[];
}

/** A harmless message through each channel, or one. Rejects with `usage.invalid` when there is none of that name, or none at all. */
export async function testAlerts(
  { alerts }: { readonly alerts: Alerter },
  only: string | undefined,
  signal: AbortSignal,
): Promise<AlertTestReport> {
  if (only === undefined && alerts.channels.length === 0)
    throw new DbkitError('usage.invalid', 'no channel is configured', {
      hint: 'alerts.channels in dbkit.yaml names them; docs/guide/health-and-monitor.md shows how',
    });
  const channels = await Promise.all(
    (only === undefined ? alerts.channels : [only]).map(async (name) => {
      try {
        await alerts.test(name, signal);
        return { name, ok: true, words: 'it took the message', hint: null };
      } catch (cause) {
        if (!(cause instanceof DbkitError) || cause.code === 'usage.invalid') throw cause;
        return { name, ok: false, words: cause.message, hint: cause.hint ?? null };
      }
    }),
  );
  return { channels };
}
