import type { PostgresqlSettings } from '../../config/config.ts';
import { startWords } from '../../instance/caretaker.ts';
import { findPostmaster, type Postmaster, processesOf, titleOf } from '../../instance/postmaster.ts';
import { isReachable } from '../../machine/is-there.ts';
import type { ProbeFacts } from '../facts.ts';
import { skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import type { SharedSessions } from './sessions.ts';

/** The postmaster lives, and whether it or one of its processes was stopped by a signal: seen from outside. */
export function serviceProbe(settings: PostgresqlSettings, sessions: SharedSessions): ProbeOf<'service'> {
  const { dataDir } = settings;
  return {
    name: 'service',
    title: 'the server’s processes',
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ResultOf<'service'>> => {
        const postmaster = await findPostmaster(dataDir);
        switch (postmaster.kind) {
          case 'denied':
            return skipped(`this user may not look into ${dataDir}`);
          case 'absent':
            if (await open.watch()) return skipped(`the server answers, but its data directory is not ${dataDir} on this machine`);
            return absent(settings);
          case 'gone':
            return {
              status: 'critical',
              summary: `PostgreSQL does not run: its postmaster.pid names process ${postmaster.pid}, which is gone`,
              hint: `\`${await startWords(settings)}\` starts it; it replays its own WAL`,
              data: { state: 'gone', pid: postmaster.pid },
            };
          case 'alive':
            return lookAt(postmaster);
        }
      }),
  };
}

async function absent(settings: PostgresqlSettings): Promise<ResultOf<'service'>> {
  const { dataDir } = settings;
  return (await isReachable(dataDir))
    ? {
        status: 'critical',
        summary: `PostgreSQL does not run: there is no postmaster.pid in ${dataDir}`,
        hint: `\`${await startWords(settings)}\` starts it, \`dbkit status\` says why it stopped`,
        data: { state: 'absent' },
      }
    : {
        status: 'critical',
        summary: `there is no data directory ${dataDir}`,
        hint: 'mount it, or set PGDATA to where it is; only where there never was one: `dbkit up --detach` makes a new one',
        data: { state: 'absent' },
      };
}

function lookAt({ pid, status, isStopped }: Extract<Postmaster, { kind: 'alive' }>): ResultOf<'service'> {
  if (isStopped) {
    const hint = `\`kill -CONT ${pid}\` lets it go on`;
    return { status: 'critical', summary: `the postmaster (pid ${pid}) was stopped by a signal`, hint, data: { state: 'halted', pid } };
  }
  const processes = processesOf(pid);
  const halted = processes.filter((each) => each.isStopped).map((each) => each.pid);
  const facts = { pid, status, processes: processes.length, stopped: halted };
  const data = (state: ProbeFacts['service']['state']): ProbeFacts['service'] => ({ state, ...facts });
  if (halted.length > 0) {
    const names = halted.slice(0, 3).map((child) => `pid ${child} (${titleOf(child)})`);
    return {
      status: 'critical',
      summary: `${halted.length} of the server’s processes ${halted.length === 1 ? 'was' : 'were'} stopped by a signal: ${names.join(', ')}`,
      hint: `\`kill -CONT ${halted.join(' ')}\` lets ${halted.length === 1 ? 'it' : 'them'} go on`,
      data: data('halted'),
    };
  }
  if (status === 'starting' || status === 'stopping') {
    return {
      status: 'critical',
      summary: `PostgreSQL is ${status} (pid ${pid})`,
      hint: 'wait for it with `dbkit status --wait`',
      data: data(status),
    };
  }
  const children = processes.length > 0 ? `, with ${processes.length === 1 ? '1 child' : `${processes.length} children`}` : '';
  return { status: 'ok', summary: `runs as pid ${pid}${children}`, data: data('running') };
}
