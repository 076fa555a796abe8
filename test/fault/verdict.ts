import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { controlStates, readControl } from '../harness/control-file.ts';
import { boot, type Ended, inspect, readRecovery } from '../harness/dbkit.ts';
import { sha256, treeOf } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows, expectNewInstance } from '../harness/rows.ts';
import type { Disaster } from './declaration.ts';

/** Of the first level of PGDATA, what is not data: dbkit's own folder, and the pid file, which a proof may set aside. */
export const runtime = ['.dbkit', 'postmaster.pid'] as const;

/** PGDATA after the disaster and before dbkit: every entry, and the bytes that must not get lost. */
export interface Photograph {
  readonly tree: Record<string, string>;
  readonly bytes: ReadonlyMap<string, string>;
}

export async function photograph(instance: Instance, disaster: Disaster): Promise<Photograph> {
  const watched = replacedFiles(instance, disaster) ?? Object.values(instance.places);
  const bytes = new Map<string, string>();
  const tree = await treeOf(instance.dataDir, runtime);
  for (const path of watched.filter((name) => / bytes, /.test(tree[name] ?? '')))
    bytes.set(path, await sha256(join(instance.dataDir, path)));
  return { tree, bytes };
}

/** The single files that are to be set aside; undefined when none are, or when everything is. */
function replacedFiles(instance: Instance, { expect: { quarantine = 'none' } }: Disaster): readonly string[] | undefined {
  if (typeof quarantine === 'function') return quarantine(instance);
  return typeof quarantine === 'string' ? undefined : quarantine;
}

/** `dbkit inspect` names it, or does not, as the table says; and a look leaves no trace. */
export async function expectInspection(
  instance: Instance,
  disaster: Disaster,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const { finding } = disaster.expect;
  if (finding === undefined) return;
  const look = async () => ({
    data: await treeOf(instance.dataDir),
    state: existsSync(instance.stateDir) ? await treeOf(instance.stateDir) : {},
  });
  const before = await look();
  const { findings } = await inspect(instance, [], { env });
  expect(await look(), 'inspect touches nothing').toEqual(before);
  const codes = findings.map(({ code }) => code);
  if (disaster.detectedBefore) expect(codes, JSON.stringify(findings, null, 2)).toContain(finding);
  else expect(codes, 'the table says that this is not seen before the start').not.toContain(finding);
}

/** The status and the words of the refusal, and PGDATA as it was; only a server that had to run to be heard has written to its own files. */
export function expectRefused(
  { startsFirst = false, expect: { exit, message } }: Disaster,
  ended: Ended,
  before: object,
  after: object,
): void {
  expect(ended, ended.stderr).toMatchObject({ code: exit });
  if (message) expect(ended.stderr).toMatch(message);
  expect(ended.stderr).not.toMatch(/internal\.bug|\n\s+at /);
  if (!startsFirst) expect(after, 'a refusal changes nothing').toEqual(before);
}

export async function expectRows(instance: Instance, { expect: { rows = 'all' } }: Disaster, added: number): Promise<void> {
  if (rows === 'all') await expectAllRows(instance, added);
  else if (rows === 'a new instance') await expectNewInstance(instance);
  else await rows(instance, added);
}

/** What the boot said and what it left in writing. */
export async function expectReport(instance: Instance, disaster: Disaster, words: string): Promise<void> {
  const { finding, message, rows = 'all', lost, losses } = disaster.expect;
  if (message) expect(words).toMatch(message);
  const report = await readRecovery(instance);
  if (finding !== undefined)
    expect(
      report?.findings.map(({ code }) => code),
      words,
    ).toContain(finding);
  if (['reinitialize', 'repair', 'restore'].includes(disaster.healedBy)) expect(report?.decision, words).toBe(disaster.healedBy);
  if (lost) expect(report?.lost).toMatch(lost);
  else if (report && rows === 'all') {
    // The template's unlogged table is emptied by a restore, which says so.
    const others = report.losses.filter(({ kind }) => kind !== 'unlogged' || disaster.healedBy !== 'restore');
    expect(
      others.every(({ kind }) => kind === 'nothing'),
      report.lost,
    ).toBe(true);
  }
  if (losses) expect(report?.losses.map(({ kind }) => kind)).toEqual(losses);
}

/** Replaced bytes are where the report says, whole, and nothing was replaced that need not be. */
export async function expectOldBytes(
  instance: Instance,
  { startsFirst = false, expect: { quarantine = 'none' } }: Disaster,
  before: Photograph,
  words: string,
): Promise<void> {
  const whole = await quarantined(instance);
  expect(whole, 'clusters set aside').toHaveLength(quarantine === 'whole' ? 1 : 0);
  if (quarantine === 'none') return;
  const where = quarantine === 'whole' ? whole[0]! : (await readRecovery(instance))?.quarantine;
  if (!where) throw new Error(`the report names no quarantine:\n${words}`);
  if (!startsFirst)
    for (const [path, hash] of before.bytes) expect(await sha256(join(where, path)), `${path} in the quarantine`).toBe(hash);
  if (quarantine !== 'whole') return;
  expect(words, 'the user is told where the old bytes are').toContain(where);
  if (startsFirst) return; // Its server has run since the photograph was taken.
  const kept = await treeOf(where);
  const owed = Object.keys(before.tree).filter(
    (path) => /^(base|global|pg_xact|pg_tblspc)(\/|$)/.test(path) && !/pg_internal\.init/.test(path),
  );
  expect(Object.keys(kept)).toEqual(expect.arrayContaining(owed));
}

/** The quarantined clusters, wherever a rename could take them. */
export async function quarantined({ backupDir, dataDir }: Instance): Promise<string[]> {
  const roots = [join(backupDir, 'quarantine'), join(dataDir, '.dbkit', 'quarantine')];
  const found = await Promise.all(roots.map(async (root) => (await readdir(root).catch(() => [])).map((name) => join(root, name))));
  return found.flat().filter((path) => /corrupt_\d{8}_\d{6}$/.test(path));
}

/** SIGTERM ends the entrypoint with status 0 and the server with a shutdown checkpoint. */
export async function expectStopped({ dataDir }: Instance, ended: Ended): Promise<void> {
  expect({ code: ended.code, signal: ended.signal }, ended.stderr).toEqual({ code: 0, signal: null });
  expect((await readControl(dataDir)).state, 'shut down').toBe(controlStates.shutDown);
}

/** Nothing is found, nothing is mended, nothing more is set aside, and the same rows are there. */
export async function expectNextBootPlain(instance: Instance, disaster: Disaster, added: number): Promise<void> {
  const { remains = [] } = disaster.expect;
  const { findings } = await inspect(instance);
  expect(new Set(findings.map(({ code }) => code)), JSON.stringify(findings, null, 2)).toEqual(new Set(remains));
  const before = { report: await readRecovery(instance), whole: await quarantined(instance) };
  const running = await boot(instance);
  await expectRows(instance, disaster, added);
  const after = { report: await readRecovery(instance), whole: await quarantined(instance) };
  if (remains.length === 0) expect(after, running.words()).toEqual(before);
  else expect(after.whole).toEqual(before.whole);
  await expectStopped(instance, await running.stop());
}
