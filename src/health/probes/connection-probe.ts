import type { PostgresqlSettings } from '../../config/config.ts';
import { startWords } from '../../instance/caretaker.ts';
import { skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import type { Refusal } from './refusal.ts';
import type { SharedSessions } from './sessions.ts';

/** The server lets its superuser in over the socket: the first thing every other question needs. */
export function connectionProbe(settings: PostgresqlSettings, sessions: SharedSessions): ProbeOf<'connection'> {
  return {
    name: 'connection',
    title: 'superuser over the socket',
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ResultOf<'connection'>> => {
        const { session, refusal } = await open.superuser();
        if (!session) return refused(refusal, settings, await startWords(settings));
        const watch = await open.watch();
        return {
          status: 'ok',
          summary: `PostgreSQL ${watch?.version ?? ''} answers on port ${settings.port}${watch?.standby ? ', a standby' : ''}`,
          data: { version: watch?.version ?? null, standby: watch?.standby ?? null },
        };
      }),
  };
}

function refused(refusal: Refusal, { superuser, socketDir, port }: PostgresqlSettings, start: string): ResultOf<'connection'> {
  const data = { why: refusal.kind, words: refusal.words };
  const critical = (summary: string, hint: string): ResultOf<'connection'> => ({ status: 'critical', summary, hint, data });
  switch (refusal.kind) {
    case 'silent':
      return critical(`no server listens on port ${port} in ${socketDir}`, `\`dbkit status\` says why it stopped, \`${start}\` starts it`);
    case 'hung':
      return critical(
        `the server on port ${port} is hung: ${refusal.words}`,
        'a stopped process goes on after `kill -CONT PID`; else `dbkit restart`',
      );
    case 'starting':
      return critical(
        `the server is not ready: ${serverWords(refusal)}`,
        'wait for it with `dbkit status --wait`; a long crash recovery is normal',
      );
    case 'full':
      return critical(
        `every connection is taken, the superuser's reserve too: ${serverWords(refusal)}`,
        'end clients that are not needed, or raise max_connections',
      );
    case 'pooler':
      return {
        status: 'unknown',
        summary: serverWords(refusal),
        hint: 'set PGHOST and PGPORT to where PostgreSQL itself listens: its state cannot be asked through a pooler',
        data,
      };
    case 'own':
      return {
        status: 'unknown',
        summary: `dbkit cannot ask: ${serverWords(refusal)}`,
        hint: refusal.hint ?? 'raise the limit for dbkit: `ulimit -n`, or memory',
        data,
      };
    case 'foreign':
      return {
        status: 'unknown',
        summary: `somebody else listens in the place of the server: ${serverWords(refusal)}`,
        hint: 'find out who (`ss -xlp`), and end it; a socket folder that only the server may write keeps others out',
        data,
      };
    case 'not-let-in':
      return skipped(`this user is not let in as ${superuser} (${serverWords(refusal)}); the application's role is asked instead`);
    case 'read-only':
      return critical(
        `the server lets nobody in, as its volume is read-only: ${serverWords(refusal)}`,
        'the kernel makes it so after an error of the disk: `dmesg` says why, `mount -o remount,rw` takes it back',
      );
    case 'damaged':
      return critical(
        `the server answers, and its data is damaged: ${serverWords(refusal)}`,
        '`dbkit recover --dry-run` shows what would be done about it',
      );
    default:
      return critical(
        `the server refuses ${superuser}: ${serverWords(refusal)}`,
        'the server log says more; `dbkit inspect` looks at the data without the server',
      );
  }
}

const serverWords = ({ words }: Refusal): string => words;
