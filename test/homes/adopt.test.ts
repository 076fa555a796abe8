import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { whyNoBackup } from '../../src/homes/adopt/adopt.ts';
import { findCluster, findClusters } from '../../src/homes/adopt/find-clusters.ts';
import { type LayoutFacts, layoutRows, NOTHING_TO_MIND } from '../../src/homes/adopt/layouts.ts';
import { decide } from '../../src/kernel/reasons.ts';

const plain: LayoutFacts = { dataDir: '/srv/db', uid: 1000, configFile: null, isKnown: false };
const cases: readonly (readonly [id: string, facts: Partial<LayoutFacts>])[] = [
  ['dbkits-own', { isKnown: true, uid: 999 }],
  ['debian-cluster', { dataDir: '/var/lib/postgresql/15/main', uid: 105, configFile: '/etc/postgresql/15/main/postgresql.conf' }],
  ['configuration-outside', { configFile: '/srv/etc/postgresql.conf' }],
  ['alpine-image', { dataDir: '/var/lib/postgresql/data', uid: 70 }],
  ['official-image-18', { dataDir: '/var/lib/postgresql/18/docker', uid: 999 }],
  ['official-image', { dataDir: '/var/lib/postgresql/data', uid: 0 }],
  ['official-image', { dataDir: '/mnt/volume', uid: 999 }],
  ['bitnami-image', { dataDir: '/bitnami/postgresql/data', uid: 1001 }],
  ['postgres-app', { dataDir: '/Users/a/Library/Application Support/Postgres/var-16' }],
  ['homebrew', { dataDir: '/opt/homebrew/var/postgresql@17' }],
  ['plain-directory', {}],
];

test.each(cases)('%s', (id, facts) => {
  expect(decide(layoutRows, { ...plain, ...facts }).id).toBe(id);
});

test('every layout has a case, and only some need a person', () => {
  expect(new Set(cases.map(([id]) => id))).toEqual(new Set(layoutRows.map(({ id }) => id)));
  expect(layoutRows.filter(({ then }) => then !== NOTHING_TO_MIND).map(({ id }) => id)).toContain('alpine-image');
});

async function folderWith(...clusters: string[]): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-adopt-'));
  onTestFinished(() => rm(root, { recursive: true }));
  for (const cluster of clusters) {
    await mkdir(join(root, cluster, 'global'), { recursive: true });
    await writeFile(join(root, cluster, 'PG_VERSION'), '15\n');
  }
  return root;
}

test('the data is found below the volume that it is on', async () => {
  for (const layout of ['', 'data', 'pgdata', '18/docker', '15/main', 'var-16', 'postgresql/data']) {
    const root = await folderWith(layout);
    expect(await findCluster(root)).toBe(join(root, layout));
  }
});

test('nothing is chosen among several, nor made up where there is none', async () => {
  await expect(findCluster(await folderWith('17/docker', '18/docker'))).rejects.toMatchObject({
    code: 'data.foreign',
    message: /2 clusters/,
  });
  await expect(findCluster(await folderWith())).rejects.toMatchObject({ code: 'data.foreign' });
  expect(await findClusters(await folderWith('src/project/data')), 'other folders are not searched').toEqual([]);
});

test('a first backup is of data that is whole and at rest, or served', () => {
  const fine = { isLive: false, isShutDown: true, findings: [] };
  expect(whyNoBackup(fine)).toBeNull();
  expect(whyNoBackup({ ...fine, isShutDown: false, isLive: true })).toBeNull();
  expect(whyNoBackup({ ...fine, isShutDown: false })).toContain('replays its WAL');
  const damage = { code: 'relation.missing', path: 'base/5/1', evidence: 'the file is gone', severity: 'certain' } as const;
  expect(whyNoBackup({ ...fine, findings: [damage] })).toContain('not whole');
});
