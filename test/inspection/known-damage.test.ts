import { mkdtempSync, rmSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { damageMemory, type KnownDamage } from '../../src/inspection/known-damage.ts';
import { createFiles } from '../../src/machine/files.ts';
import { wayBack } from '../../src/recovery/way-back.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

async function memory() {
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-damage-'));
  folders.push(folder);
  const places = { dataDir: join(folder, 'data'), stateDir: join(folder, 'state') };
  await mkdir(places.dataDir);
  await mkdir(places.stateDir);
  const log = { debug() {}, info() {}, warn() {}, error() {}, progress() {} };
  const clock = { now: () => new Date('2026-11-28T03:00:00Z') } as Parameters<typeof damageMemory>[1]['clock'];
  return { ...places, memory: damageMemory(places, { files: createFiles(log), clock }) };
}

const damage = (path: string, more: Partial<KnownDamage> = {}): KnownDamage => ({
  code: 'page.lost',
  path,
  evidence: `${path} lost a page`,
  severity: 'certain',
  since: '2026-11-27T00:00:00Z',
  ...more,
});

test('damage stays known until it is settled, and keeps since when', async () => {
  const { memory: known } = await memory();
  await known.remember('7', [damage('base/5/1', { database: 'shop', relation: 'public.ledger', oid: 1 })]);
  await known.remember('7', [damage('base/5/1', { since: '2026-11-28T00:00:00Z' })]);
  expect(await known.open('7')).toMatchObject([{ since: '2026-11-27T00:00:00Z', relation: 'public.ledger' }]);
  await known.settle('7', [], new Set(['base/5/1']));
  expect(await known.open('7')).toHaveLength(1);
  await known.settle('7', []);
  expect(await known.open('7')).toEqual([]);
});

test('it survives the loss of the state folder, and is nobody else’s', async () => {
  const { memory: known, stateDir } = await memory();
  await known.remember('7', [damage('base/5/1')]);
  rmSync(stateDir, { recursive: true });
  expect(await known.open('7')).toHaveLength(1);
  expect(await known.open('8')).toEqual([]);
});

test('of a state folder that was put back from an earlier day the data’s own memory knows more', async () => {
  const { stateDir, dataDir } = await memory();
  const files = createFiles({ debug() {}, info() {}, warn() {}, error() {}, progress() {} });
  const on = (day: number) =>
    damageMemory(
      { dataDir, stateDir },
      { files, clock: { now: () => new Date(Date.UTC(2026, 10, day)) } as Parameters<typeof damageMemory>[1]['clock'] },
    );
  await on(26).remember('7', [damage('base/5/1')]);
  await on(26).settle('7', []);
  await cp(stateDir, `${stateDir}-old`, { recursive: true });
  await on(27).remember('7', [damage('base/5/2')]);
  rmSync(stateDir, { recursive: true });
  await cp(`${stateDir}-old`, stateDir, { recursive: true });
  expect(await on(28).open('7')).toMatchObject([{ path: 'base/5/2' }]);
});

test('what a person accepted is not told again, unless more is lost', async () => {
  const { memory: known } = await memory();
  await known.remember('7', [damage('base/5/1', { blocks: [3] })]);
  expect(await known.accept('7')).toHaveLength(1);
  await known.remember('7', [damage('base/5/1', { blocks: [3] })]);
  expect(await known.open('7')).toEqual([]);
  await known.remember('7', [damage('base/5/1', { blocks: [3, 4] })]);
  expect(await known.open('7')).toMatchObject([{ blocks: [3, 4] }]);
});

test('the way back names the backup and the table, or says that there is none', () => {
  const table = damage('base/5/1', { database: 'shop', relation: 'public.ledger' });
  expect(wayBack(table, { label: 'data_x' })).toMatch(
    /`dbkit backup restore data_x --table public\.ledger --database shop` brings it back/,
  );
  expect(wayBack(damage('base/5/1'), { label: 'data_x' })).toMatch(/`dbkit backup restore data_x` brings it back/);
  expect(wayBack(table, undefined)).toMatch(/no good backup holds it/);
});
