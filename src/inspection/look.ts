import type { Config } from '../config/config.ts';
import { findBinaries } from '../instance/binaries.ts';
import { serverOn } from '../instance/guard/preflight.ts';
import type { System } from '../kernel/machine.ts';
import { isOf } from './findings.ts';
import { inspect } from './inspect.ts';
import type { FindBaseline } from './prove.ts';
import type { ReadReached } from './reached.ts';
import type { Inspect, InspectionReport } from './report.ts';
import { serverReads } from './server-reads.ts';

/** The state of a directory that a server is writing to at this moment: that it has not been shut down is no news. */
function whileServed(report: InspectionReport, pid: number): InspectionReport {
  const evidence = `pid ${pid} serves it: files may change while they are looked at`;
  const findings = report.findings.filter(({ code }) => code !== 'shutdown.unclean');
  return { ...report, findings: [{ code: 'server.running', path: 'postmaster.pid', evidence, severity: 'info' }, ...findings] };
}

/** Inspection as a command asks for it: also of a directory that is served at this moment. */
export function createInspect(
  { postgresql: settings, stateDir }: Config,
  system: System,
  sources: { readonly readReached: ReadReached; readonly findBaseline: FindBaseline },
): Inspect {
  /** Facts that only the programs know of a configuration that parses. */
  const askServer = async (report: InspectionReport, signal: AbortSignal): Promise<InspectionReport> => {
    if (report.findings.some(({ code }) => isOf(code, 'conf'))) return report;
    const binaries = await findBinaries({ major: report.major ?? settings.version, directory: settings.binDir }, system, signal).catch(
      () => undefined,
    );
    const said = binaries ? await serverReads(settings.dataDir, binaries, system, signal) : [];
    return { ...report, findings: [...report.findings, ...said] };
  };
  return async (depth, signal) => {
    const server = await serverOn(settings.dataDir);
    const isServed = typeof server === 'object';
    const { report } = await inspect(settings.dataDir, { stateDir, ...depth, ...sources, isServed }, system, signal);
    const asked = depth.deep && report.state === 'cluster' ? await askServer(report, signal) : report;
    return isServed ? whileServed(asked, server.pid) : asked;
  };
}
