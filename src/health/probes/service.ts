import { access } from 'node:fs/promises';
import type { PostgresqlSettings } from '../../config/config.ts';
import { startWords } from '../../instance/caretaker.ts';
import { findPostmaster, type Postmaster, processesOf, titleOf } from '../../instance/postmaster.ts';
import { skipped } from '../health.ts';
import type { Probe, ProbeResult } from '../probe.ts';
import type { SharedSessions } from './sessions.ts';

/** Whether the postmaster lives, and whether it or one of its processes was stopped by a signal: seen from outside. */
export function serviceProbe(settings: PostgresqlSettings, sessions: SharedSessions): Probe {
  const { dataDir } = settings;
  return {
    name: 'service',
    title: 'the server’s processes',
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ProbeResult> => {
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
            };
          case 'alive':
            return lookAt(postmaster);
        }
      }),
  };
}

async function absent(settings: PostgresqlSettings): Promise<ProbeResult> {
  const { dataDir } = settings;
  const isThere = await access(dataDir).then(
    () => true,
    () => false,
  );
  return isThere
    ? {
        status: 'critical',
        summary: `PostgreSQL does not run: there is no postmaster.pid in ${dataDir}`,
        hint: `\`${await startWords(settings)}\` starts it, \`dbkit status\` says why it stopped`,
      }
    : { status: 'critical', summary: `there is no data directory ${dataDir}`, hint: 'set PGDATA; `dbkit up --detach` makes a new one' };
}

function lookAt({ pid, status, isStopped }: Extract<Postmaster, { kind: 'alive' }>): ProbeResult {
  if (isStopped) {
    const hint = `\`kill -CONT ${pid}\` lets it go on`;
    return { status: 'critical', summary: `the postmaster (pid ${pid}) was stopped by a signal`, hint, data: { pid } };
  }
  const processes = processesOf(pid);
  const halted = processes.filter((each) => each.isStopped).map((each) => each.pid);
  const data = { pid, status, processes: processes.length, stopped: halted };
  if (halted.length > 0) {
    const names = halted.slice(0, 3).map((child) => `pid ${child} (${titleOf(child)})`);
    return {
      status: 'critical',
      summary: `${halted.length} of the server’s processes ${halted.length === 1 ? 'was' : 'were'} stopped by a signal: ${names.join(', ')}`,
      hint: `\`kill -CONT ${halted.join(' ')}\` lets ${halted.length === 1 ? 'it' : 'them'} go on`,
      data,
    };
  }
  if (status === 'starting' || status === 'stopping') {
    return { status: 'critical', summary: `PostgreSQL is ${status} (pid ${pid})`, hint: 'wait for it with `dbkit status --wait`', data };
  }
  const children = processes.length > 0 ? `, with ${processes.length === 1 ? '1 child' : `${processes.length} children`}` : '';
  return { status: 'ok', summary: `runs as pid ${pid}${children}`, data };
}
