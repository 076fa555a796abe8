import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { type Finding, isOf } from '../../inspection/findings.ts';
import { inspect } from '../../inspection/inspect.ts';
import { inspectLive } from '../../inspection/live.ts';
import { configFileElsewhere } from '../../instance/external-configuration.ts';
import { findPostmaster } from '../../instance/postmaster.ts';
import { errnoOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { counted } from '../../kernel/units.ts';
import { isThereNow } from '../../machine/is-there.ts';
import { readMark } from '../../wal/mark.ts';
import { skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import type { Sessions, SharedSessions } from './sessions.ts';

/** dbkit's inspection: all of it while the server is down, and of a running server's directory what cannot be in motion. */
export function dataDirectoryProbe(
  { postgresql: { dataDir }, stateDir }: Config,
  system: System,
  sessions: SharedSessions,
): ProbeOf<'data-directory'> {
  const look = async (open: Sessions, signal: AbortSignal): Promise<ResultOf<'data-directory'>> => {
    const { kind } = await findPostmaster(dataDir);
    if (kind === 'denied') return skipped(`this user may not read ${dataDir}`);
    const isElsewhere = (await configFileElsewhere(dataDir)) !== undefined;
    const ours = (findings: readonly Finding[]): Finding[] => findings.filter(({ code }) => !(isElsewhere && isOf(code, 'conf')));
    if (kind === 'alive') return judged(ours(await lookAlive(dataDir, open, signal)), 'what the server needs is there');
    const { report } = await inspect(dataDir, { stateDir, deep: false, readReached: readMark }, system, signal);
    if (report.state === 'empty') return skipped(`${dataDir} holds no database yet`);
    const isClean = report.clusterState?.startsWith('shut down') ?? false;
    return judged(ours(report.findings), isClean ? 'shut down cleanly, nothing is wrong' : 'not shut down cleanly; it replays its WAL');
  };
  return {
    name: 'data-directory',
    title: 'the files, as inspect sees them',
    timeoutMs: 60_000, // An lstat of each file, should there be very many and the server down.
    check: (signal) =>
      sessions.during(signal, async (open) => {
        try {
          return await look(open, signal);
        } catch (cause) {
          if (errnoOf(cause) === 'EACCES' || errnoOf(cause) === 'EPERM') return skipped(`this user may not read ${dataDir}`);
          if (errnoOf(cause) === 'ENOENT') return skipped(`${dataDir} is not on this machine`);
          throw cause;
        }
      }),
  };
}

/**
 * The files of the directory, and the folders of databases that do not any more. One that is being created or dropped lacks files and is
 * not ill: only what the server lists now counts, when it is looked at again.
 */
async function lookAlive(dataDir: string, open: Sessions, signal: AbortSignal): Promise<Finding[]> {
  const findings = inspectLive(dataDir, signal);
  const lost = (await databases(open)).filter((oid) => !isThere(dataDir, oid));
  if (lost.length === 0 && !findings.some(({ path }) => databaseOf(path))) return findings;
  const listed = new Set(await databases(open));
  return [
    ...lost
      .filter((oid) => listed.has(oid) && !isThere(dataDir, oid))
      .map(
        (oid) => ({ code: 'database.missing', path: `base/${oid}`, evidence: 'the directory is missing', severity: 'certain' }) as const,
      ),
    ...inspectLive(dataDir, signal).filter(({ path }) => listed.has(databaseOf(path) ?? '') || !databaseOf(path)),
  ];
}

/** Those of the default tablespace; -2 marks one whose removal was interrupted (src/include/catalog/pg_database.h). */
async function databases(open: Sessions): Promise<readonly string[]> {
  const watch = await open.watch();
  const rows = await watch?.session.query<{ oid: string }>(
    "SELECT d.oid::text FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE spcname = 'pg_default' AND datconnlimit <> -2",
  );
  return (rows ?? []).map(({ oid }) => oid);
}

const isThere = (dataDir: string, oid: string): boolean => isThereNow(join(dataDir, 'base', oid));

const databaseOf = (path: string): string | undefined => /^base\/(\d+)/.exec(path)?.[1];

function judged(findings: readonly Finding[], sound: string): ResultOf<'data-directory'> {
  const certain = findings.filter(({ severity }) => severity === 'certain');
  const bad = certain.length > 0 ? certain : findings.filter(({ severity }) => severity === 'suspect');
  const [first] = bad;
  if (first === undefined) return { status: 'ok', summary: sound };
  const more = bad.length === 1 ? '' : `, and ${counted(bad.length - 1, 'finding')} more`;
  return {
    status: certain.length > 0 ? 'critical' : 'warning',
    summary: `${first.path}: ${first.evidence}${more}`,
    hint: '`dbkit recover --dry-run` shows what would be done about it',
    data: bad.map(({ code, path, evidence, severity }) => ({ code, path, evidence, severity })),
  };
}
