import type { ControlFile } from '../formats/control-file.ts';
import type { System } from '../kernel/machine.ts';
import type { Finding } from './findings.ts';
import type { FindBaseline } from './prove.ts';
import type { InspectionReport } from './report.ts';
import type { Walk } from './walk.ts';

interface DeepReading {
  readonly dataDir: string;
  readonly seen: Walk;
  readonly control: ControlFile;
  readonly findBaseline: FindBaseline | undefined;
}

/** Every page, held against the newest backup and the WAL since; adds a finding for each file with one that is lost. */
export async function readDeep(
  { findBaseline, ...where }: DeepReading,
  findings: Finding[],
  { log }: System,
  signal: AbortSignal,
): Promise<InspectionReport['deep']> {
  const { proveTwice } = await import('./prove-twice.ts');
  const { proofFindings } = await import('./proof-findings.ts');
  const isLive = !where.control.state.startsWith('shut down');
  const baseline = await findBaseline?.(where.control.systemIdentifier, signal);
  const proof = await proveTwice({ ...where, baseline, whole: true, isLive, log }, signal);
  const known = new Set(findings.map(({ path }) => path));
  findings.push(...proofFindings(proof, isLive ? 'suspect' : 'certain').filter(({ path }) => !known.has(path)));
  return { pages: proof.pages, damaged: proof.doubtful.reduce((sum, { doubts }) => sum + doubts.length, 0) };
}
