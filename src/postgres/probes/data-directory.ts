import type { Config } from '../../core/config.ts';
import type { Probe, ProbeResult, System } from '../../core/contracts.ts';
import { errnoOf } from '../../core/errors.ts';
import { counted } from '../../core/figures.ts';
import type { Finding } from '../../core/findings.ts';
import { skipped } from '../../core/health.ts';
import { inspect } from '../inspection/inspect.ts';
import { inspectLive } from '../inspection/live.ts';
import { configFileElsewhere } from './elsewhere.ts';
import { findPostmaster } from './postmaster.ts';

/** dbkit's inspection: all of it while the server is down, and of a running server's directory what cannot be in motion. */
export function dataDirectoryProbe({ postgresql: { dataDir }, stateDir }: Config, system: System): Probe {
  return {
    name: 'data-directory',
    title: 'the files, as inspect sees them',
    timeoutMs: 60_000, // An lstat of each file, should there be very many and the server down.
    async check(signal): Promise<ProbeResult> {
      const { kind } = await findPostmaster(dataDir);
      if (kind === 'denied') return skipped(`this user may not read ${dataDir}`);
      try {
        const isElsewhere = (await configFileElsewhere(dataDir)) !== undefined;
        const ours = (findings: readonly Finding[]): Finding[] => findings.filter(({ code }) => !(isElsewhere && code.startsWith('conf.')));
        if (kind === 'alive') return judged(ours(inspectLive(dataDir, signal)), 'what the server needs is there');
        const { report } = await inspect(dataDir, { stateDir, deep: false }, system, signal);
        if (report.state === 'empty') return skipped(`${dataDir} holds no database yet`);
        return judged(
          ours(report.findings),
          report.clusterState?.startsWith('shut down')
            ? 'shut down cleanly, nothing is wrong'
            : 'not shut down cleanly; it replays its WAL',
        );
      } catch (cause) {
        if (errnoOf(cause) === 'EACCES' || errnoOf(cause) === 'EPERM') return skipped(`this user may not read ${dataDir}`);
        if (errnoOf(cause) === 'ENOENT') return skipped(`${dataDir} is not on this machine`);
        throw cause;
      }
    },
  };
}

function judged(findings: readonly Finding[], sound: string): ProbeResult {
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
