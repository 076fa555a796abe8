import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Finding, type FindingCode, findingCodes } from '../../src/inspection/findings.ts';
import { type Inspection, inspect } from '../../src/inspection/inspect.ts';
import { volumeOf } from '../../src/instance/volume.ts';
import { createSystem } from '../../src/machine/machine.ts';
import { evidenceAmong, proofs } from '../../src/recovery/evidence.ts';
import { climb, ladder } from '../../src/recovery/ladder.ts';
import type { Plan } from '../../src/recovery/plan.ts';
import { remedyFor } from '../../src/recovery/remedies.ts';
import { requireEvidence, rereadEvidence } from '../../src/recovery/reread.ts';
import { random } from '../fault/random.ts';
import { bareFacts } from './ladder-facts.fixture.ts';

const codes = Object.keys(findingCodes) as FindingCode[];
const signal = new AbortController().signal;
/** There, and gone. */
const paths = ['base/5', 'base/5/1259', 'global/1262', 'base/6', 'base/5/16384', 'pg_xact'] as const;

/** A few findings, the same ones for the same seed. */
function findingsOf(seed: number): Finding[] {
  let turn = seed * 97;
  const pick = <T>(from: readonly T[]): T => {
    turn += 1;
    return from[Math.floor(random(turn) * from.length)]!;
  };
  return Array.from({ length: 1 + Math.floor(random(seed) * 4) }, () => ({
    code: pick(codes),
    path: pick(paths),
    evidence: 'generated',
    severity: pick(['info', 'suspect', 'certain'] as const),
    ...(pick([true, false]) ? { postgresSays: 'FATAL:  generated' } : {}),
    ...(pick([true, false, false]) ? { seenIn: 'files' as const } : {}),
  }));
}

describe('nothing is replaced without evidence', () => {
  let dataDir: string;
  let place: Parameters<typeof requireEvidence>[0];
  let inspection: Inspection;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'dbkit-evidence-'));
    await mkdir(join(dataDir, 'base/5'), { recursive: true });
    await mkdir(join(dataDir, 'global'));
    for (const file of ['base/5/PG_VERSION', 'base/5/1259', 'global/1262']) await writeFile(join(dataDir, file), '15\n');
    const note = (): void => undefined;
    const system = await createSystem({ debug: note, info: note, warn: note, error: note, progress: note }, {});
    place = { volume: volumeOf(dataDir), stateDir: join(dataDir, 'state'), system };
    inspection = await inspect(dataDir, { stateDir: place.stateDir, deep: false }, system, signal);
  });
  afterAll(() => rm(dataDir, { recursive: true }));

  const planOf = (findings: readonly Finding[], decision: Plan['decision'], wish?: Plan['wish']) => ({
    ...{ findings, decision, wish, rung: ladder.at(-1)! },
    inspection: { ...inspection, report: { ...inspection.report, state: 'cluster' as const } },
  });

  test('a replacement goes on exactly when a finding is seen again in the files, or is of PostgreSQL’s own words', async () => {
    const goneCodes = [
      'relation.missing',
      'catalog.missing',
      'database.missing',
      'directory.lost',
      'wal-directory.missing',
      'index.damaged',
      'catalog-index.damaged',
    ];
    const isGone = ({ code, path }: Finding): boolean => goneCodes.includes(code) && ['base/6', 'base/5/16384', 'pg_xact'].includes(path);
    let went = 0;
    for (let seed = 1; seed <= 300; seed += 1) {
      const findings = findingsOf(seed);
      const wanted = findings.some((finding) => {
        if (proofs[finding.code] === 'never' || finding.severity === 'info') return false;
        const isOfFiles = finding.seenIn === 'files' && finding.code !== 'relation.truncated'; // An estimate of the catalogs: a backup must show it.
        return isOfFiles || isGone(finding) || (proofs[finding.code] === 'words' && finding.postgresSays !== undefined);
      });
      const outcome = requireEvidence(place, planOf(findings, seed % 2 === 0 ? 'restore' : 'reinitialize'), signal);
      if (wanted) {
        went += 1;
        await expect(outcome, JSON.stringify(findings)).resolves.toBeUndefined();
      } else await expect(outcome, JSON.stringify(findings)).rejects.toMatchObject({ code: 'internal.bug', changed: false });
    }
    expect(went).toBeGreaterThan(50);
    expect(went).toBeLessThan(250);
  });

  test('silence is no evidence, and looking for it changes nothing', async () => {
    const before = await readdir(dataDir, { recursive: true });
    const silent: Finding = { code: 'database.missing', path: 'base/5', evidence: 'sorry, too many clients already', severity: 'certain' };
    await expect(requireEvidence(place, planOf([silent], 'restore'), signal)).rejects.toMatchObject({
      code: 'internal.bug',
      changed: false,
    });
    expect(await rereadEvidence(place, planOf([{ ...silent, path: 'base/6' }], 'restore'), signal)).toHaveLength(1);
    expect(await readdir(dataDir, { recursive: true })).toEqual(before);
  });

  test('a person who asks for it needs no evidence', async () => {
    await expect(requireEvidence(place, planOf([], 'restore', 'restore'), signal)).resolves.toBeUndefined();
  });
});

test('the ladder reaches no replacement through findings that prove nothing, in any circumstances', () => {
  const flags = [
    'cleanShutdown',
    'keptIsCurrent',
    'backupIsCurrent',
    'archiveLeadsOn',
    'replaysFromKept',
    'mayMendOwner',
    'tried',
    'reported',
    'answering',
  ] as const;
  for (let seed = 1; seed <= 3_000; seed += 1) {
    const findings = findingsOf(seed).filter(({ code, severity }) => proofs[code] === 'never' || severity === 'info');
    const circumstances = Object.fromEntries(flags.map((flag, index) => [flag, random(seed * 31 + index) < 0.5])) as Record<
      (typeof flags)[number],
      boolean
    >;
    const steps = findings.map((finding) => ({ finding, remedy: remedyFor({ finding, ...circumstances }) }));
    const asking = steps.filter(({ remedy }) => remedy.then === 'serve' || remedy.then === 'replace').map(({ finding }) => finding);
    const { then: decision } = climb({
      ...bareFacts,
      answers: new Set(steps.map(({ remedy }) => remedy.then)),
      evident: evidenceAmong(asking, () => true).length > 0,
      backup: seed % 2 === 0 ? 'data_20261120_195400' : undefined,
      partial: 'data_20261120_195400',
      dump: 'dump_20261120_195400',
      rollsForward: true,
    });
    expect(decision, JSON.stringify(findings)).not.toMatch(/restore|reinitialize/);
  }
});
