import type { HealthSettings } from '../../config/health-settings.ts';
import { within } from '../../kernel/deadline.ts';
import type { Clock } from '../../kernel/machine.ts';
import { roughly } from '../../kernel/units.ts';
import { judge } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { notAsked } from './asking.ts';
import type { SharedSessions } from './sessions.ts';

/** How long the smallest query takes in a session that is open: as the application, else as whoever is let in. */
export function latencyProbe({ latency, timeoutSeconds }: HealthSettings, clock: Clock, sessions: SharedSessions): ProbeOf<'latency'> {
  const patienceMs = latency.critical * 1000 + 500;
  return {
    name: 'latency',
    title: 'one query',
    timeoutMs: timeoutSeconds * 1000 + patienceMs + 500,
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ResultOf<'latency'>> => {
        const session = (await open.application())?.session ?? (await open.watch())?.session;
        if (!session) return notAsked(open);
        const begunMs = clock.monotonicMs();
        let isLate = false;
        await within([signal], patienceMs, (bounded) => {
          bounded.addEventListener('abort', () => {
            isLate = true;
          });
          return session.query('SELECT 1');
        }).catch((cause: unknown) => {
          if (!isLate) throw cause;
        });
        const seconds = (clock.monotonicMs() - begunMs) / 1000;
        if (isLate) {
          return {
            status: 'critical',
            summary: `a query gets no answer within ${roughly(patienceMs / 1000)}`,
            hint: '`dbkit restart` ends what hangs',
          };
        }
        const status = judge(seconds, latency);
        return {
          status,
          summary: `a query takes ${roughly(seconds)}`,
          hint: status === 'ok' ? undefined : 'look for what keeps the machine busy: disk, memory, other processes',
          data: { seconds },
        };
      }),
  };
}
