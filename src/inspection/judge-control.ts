import type { ReadControl } from '../formats/control-file.ts';
import type { Finding } from './findings.ts';
import type { Inventory } from './inventory.ts';
import type { Reached } from './reached.ts';
import { readControl } from './state.ts';
import type { Walk } from './walk.ts';
import { findContradiction } from './witnesses.ts';

/** pg_control, or why it is not to be believed although it can be read. */
export type Judged = ReadControl | { readonly problem: string; readonly why: 'anothers' | 'outdated' };

/** The owner of pg_control, before it is believed. */
export async function judgeControl(
  dataDir: string,
  seen: Walk,
  mayLook: boolean,
  notes: { reached: Reached | undefined; inventory: Inventory | undefined },
  signal: AbortSignal,
): Promise<{ control: Judged; doubts: Finding[] }> {
  const control = readControl(dataDir);
  const against = mayLook && 'control' in control ? await findContradiction(dataDir, seen, control.control, notes, signal) : undefined;
  if (!against) return { control, doubts: [] };
  if (against.verdict !== 'contradicted') return { control: { problem: against.words, why: against.verdict }, doubts: [] };
  return {
    control,
    doubts: [{ code: 'control.contradicted', path: 'global/pg_control', evidence: against.words, severity: 'certain' }],
  };
}

const controlFindings = {
  missing: ['control.damaged', 'could not open file "global/pg_control": No such file or directory'],
  damaged: ['control.damaged', 'incorrect checksum in control file'],
  anothers: ['control.damaged', 'WAL file is from different database system'],
  outdated: ['control.outdated', 'could not locate a valid checkpoint record'],
  foreign: ['version.mismatch', 'database files are incompatible with server'],
  unreadable: ['owner.wrong', 'could not open file "global/pg_control": Permission denied'],
} as const;

export function controlFinding({ problem, why }: Extract<Judged, { problem: string }>, { entries }: Walk): Finding {
  const renamed = 'global/pg_control.old'; // So that nobody starts it (pg_upgrade/controldata.c, disable_old_cluster).
  if (why === 'missing' && entries.has(renamed)) {
    const evidence = 'pg_upgrade has renamed pg_control, because both directories share their files from then on';
    return { code: 'upgrade.old-half', path: renamed, evidence, severity: 'certain' };
  }
  const [code, postgresSays] = controlFindings[why];
  return { code, path: 'global/pg_control', evidence: problem, severity: 'certain', postgresSays };
}
