import type { HealthSettings } from '../../config/health-settings.ts';
import { counted } from '../../kernel/units.ts';
import { judge, skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { asking } from './asking.ts';
import type { SharedSessions } from './sessions.ts';

const IDS = 2 ** 31; // Transaction ids are compared in a circle: two thousand million are ahead, as many behind (routine vacuuming, "Wraparound").
const AGES = `
  SELECT datname AS name, age(datfrozenxid)::float8 AS xids, mxid_age(datminmxid)::float8 AS multixacts FROM pg_database
   ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC LIMIT 1`;

/** How near the oldest transaction id is to the point where the server stops taking writes. */
export function wraparoundProbe({ wraparound }: HealthSettings, sessions: SharedSessions): ProbeOf<'wraparound'> {
  return asking(sessions, { name: 'wraparound', title: 'transaction ids' }, async ({ session }): Promise<ResultOf<'wraparound'>> => {
    const [row] = await session.query<{ name: string; xids: number; multixacts: number }>(AGES);
    const { name, xids, multixacts } = row!;
    const percent = Math.round((1000 * Math.max(xids, multixacts)) / IDS) / 10;
    const status = judge(percent, wraparound);
    return {
      status,
      summary: `${percent} % of the way to wraparound, database ${name}`,
      hint: status === 'ok' ? undefined : `end old transactions, prepared ones and idle slots, then VACUUM (FREEZE) in ${name}`,
      data: { database: name, xids, multixacts },
    };
  });
}

const CHECKSUMS = `
  SELECT current_setting('data_checksums') = 'on' AS on,
         (SELECT json_agg(json_build_object('database', coalesce(datname, 'shared'), 'failures', checksum_failures, 'last', checksum_last_failure)
                          ORDER BY checksum_last_failure DESC)
            FROM pg_stat_database WHERE checksum_failures > 0) AS failed`;

/** Pages that the server itself found damaged since its statistics began. */
export function checksumsProbe(sessions: SharedSessions): ProbeOf<'checksums'> {
  return asking(
    sessions,
    { name: 'checksums', title: 'pages that fail their checksum' },
    async ({ session }): Promise<ResultOf<'checksums'>> => {
      const [row] = await session.query<{ on: boolean; failed: { database: string; failures: number; last: string }[] | null }>(CHECKSUMS);
      const { on, failed } = row!;
      if (!on) return skipped('data checksums are off: the server cannot tell a damaged page');
      if (failed === null) return { status: 'ok', summary: 'no page has failed its checksum' };
      const [latest] = failed;
      const failures = failed.reduce((sum, each) => sum + each.failures, 0);
      return {
        status: 'critical',
        summary: `${counted(failures, 'page')} failed the checksum in ${failed.map(({ database }) => database).join(', ')}, last at ${latest!.last}`,
        hint: '`dbkit inspect --deep` names the files; once mended, `SELECT pg_stat_reset()` there clears the count',
        data: failed,
      };
    },
  );
}
