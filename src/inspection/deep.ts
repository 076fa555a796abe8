import type { ControlFile } from '../formats/control-file.ts';
import type { System } from '../kernel/machine.ts';
import type { Finding } from './findings.ts';
import type { InspectionReport } from './report.ts';
import type { Walk } from './walk.ts';

/** Every page; adds a finding for each damaged file. */
export async function readDeep(
  dataDir: string,
  seen: Walk,
  control: ControlFile,
  findings: Finding[],
  system: System,
  signal: AbortSignal,
): Promise<InspectionReport['deep']> {
  const { verifyPages } = await import('./verify-pages.ts');
  const { pages, damaged } = await verifyPages(dataDir, seen, control, system.log, signal);
  for (const file of damaged) {
    if (file.unreadable !== undefined)
      findings.push({ code: 'file.unreadable', path: file.path, evidence: file.unreadable, severity: 'certain' });
    if (file.damaged.length === 0) continue;
    const blocks = file.damaged.slice(0, 10).join(', ');
    const evidence = `${file.damaged.length} of ${file.pages} pages fail their checksum (block ${blocks}${file.damaged.length > 10 ? ', …' : ''})`;
    findings.push({
      code: 'page.damaged',
      path: file.path,
      evidence,
      severity: control.state === 'shut down' ? 'certain' : 'suspect',
      postgresSays: `invalid page in block ${file.damaged[0]} of relation ${file.path}`,
    });
  }
  return { pages, damaged: damaged.reduce((sum, file) => sum + file.damaged.length, 0) };
}
