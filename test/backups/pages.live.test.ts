import { existsSync, linkSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { Backup, BaseBackups } from '../../src/backups/backup.ts';
import { failing, withCalls } from '../harness/other-calls.ts';
import { everywhere, nightly } from '../harness/tier.ts';
import { initdb, installations, signal, type TestServer, testSystem } from './copy-engine.fixture.ts';
import { expectSame, keepAside, spreadTable, spreadUpdates } from './pages.fixture.ts';
import { execute, expectAccepted, openScene, settle } from './scene.fixture.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const scene = openScene();
const { within } = scene;
const baseFor = (server: TestServer, more: object = {}): Promise<BaseBackups> =>
  scene.baseFor(server, { backup: { pages: true, pagesFrom: '1MB' }, ...more });
const sizeOf = (path: string): number => statSync(path).size;
const list = (base: BaseBackups): Promise<readonly Backup[]> => base.repository.list(signal);

describe.each(everywhere ? installations : installations.slice(0, 1))('PostgreSQL $major', ({ binDir }) => {
  const serve = (directory: string): Promise<TestServer> => scene.start(binDir, directory, { fsync: 'off', autovacuum: 'off' });
  const spread = async (): Promise<TestServer> => {
    initdb(binDir, within('data'));
    const server = await serve(within('data'));
    await execute(server, ...spreadTable);
    await settle();
    return server;
  };

  test('an earlier backup keeps its pages, the newest is plain, and each is what it was', async () => {
    const server = await spread();
    const base = await baseFor(server);
    const [first, asides] = [await base.take(signal), [] as string[]];
    asides.push(keepAside(first, within('aside-1')));
    for (const version of [1, 2]) {
      await execute(server, ...spreadUpdates(version));
      const next = await base.take(signal);
      expect(next.newBytes!, scene.events.join('\n')).toBeLessThan(4_000_000 + 16_777_216);
      expectAccepted(binDir, next);
      asides.push(keepAside(next, within(`aside-${version + 1}`)));
    }
    const backups = await list(base);
    expect(backups.map(({ isPlain }) => isPlain)).toEqual([false, false, true]);
    expect(existsSync(join(backups[0]!.path, 'global/pg_control')), 'no server starts on it').toBe(false);
    for (const [index, backup] of backups.entries()) {
      await base.verify(backup, signal, { deep: true });
      await expectSame(base, backup, asides[index]!, within('scratch'));
    }
    rmSync(backups[2]!.path, { recursive: true });
    rmSync(`${backups[2]!.path}.json`);
    for (const backup of backups.slice(0, 2)) await base.verify(backup, signal, { deep: true }); // It needs no other one.
    expect(readdirSync(within('repo', '.partial'))).toEqual([]);
  });

  nightly('an earlier backup of which a file cannot be opened is told as damaged, and the new one is whole without it', async () => {
    const server = await spread();
    const base = await baseFor(server);
    const first = await base.take(signal);
    await execute(server, ...spreadUpdates(1));
    const isLarge = (path: string): boolean => path.startsWith(first.path) && /base\/\d+\/\d+$/.test(path) && sizeOf(path) > 8_000_000;
    const second = await withCalls({ openSync: failing('EIO', isLarge) }, () => base.take(signal));
    const backups = await list(base);
    expect(backups.map(({ state, isPlain }) => [state, isPlain])).toEqual([
      ['damaged', true],
      ['good', true],
    ]);
    expect(scene.events.join('\n')).toMatch(
      new RegExp(`backup\\.damaged: backup ${first.label} is damaged: base/\\d+/\\d+ cannot be read: EIO`),
    );
    await base.verify(second, signal, { deep: true });
    await server.stop();
    await base.stage(second, { directory: within('restored'), walFrom: undefined }, signal);
    const connection = await (await serve(within('restored'))).connect();
    const [row] = await connection.query<{ changed: number }>('SELECT count(*) FILTER (WHERE version > 0)::int AS changed FROM spread');
    await connection.end();
    expect(row).toEqual({ changed: 18 });
  });

  nightly('a restore of an earlier backup has the rows of its time', async () => {
    const server = await spread();
    const base = await baseFor(server);
    const first = await base.take(signal);
    await execute(server, ...spreadUpdates(1));
    await base.take(signal);
    await server.stop();
    await base.stage(first, { directory: within('restored'), walFrom: undefined }, signal);
    const restored = await serve(within('restored'));
    const connection = await restored.connect();
    const [row] = await connection.query<{ rows: number; changed: number }>(
      'SELECT count(*)::int AS rows, count(*) FILTER (WHERE version > 0)::int AS changed FROM spread',
    );
    await connection.end();
    expect(row).toEqual({ rows: 36_000, changed: 0 });
  });

  nightly('a pinned backup stays plain, and so does one with links of somebody else', async () => {
    const server = await spread();
    const base = await baseFor(server);
    const pinned = await base.take(signal, { pin: true });
    await execute(server, ...spreadUpdates(1));
    const second = await base.take(signal);
    expect((await list(base)).map(({ isPlain }) => isPlain)).toEqual([true, true]);
    expectAccepted(binDir, pinned);
    const file = readdirSync(second.path, { recursive: true, encoding: 'utf8' })
      .map((name) => join(second.path, name))
      .find((name) => /base\/\d+\/\d+$/.test(name) && sizeOf(name) > 8_000_000)!;
    linkSync(file, within('stray'));
    await execute(server, ...spreadUpdates(2));
    await base.take(signal);
    expect(scene.events.join('\n')).toMatch(/links, and 1 of them are of backups/);
    for (const backup of await list(base)) await base.verify(backup, signal);
    expectAccepted(binDir, pinned);
  });

  nightly('with backup.pages off, or beside a reader, files are copied whole', async () => {
    const server = await spread();
    const [base, off] = [await baseFor(server), await baseFor(server, { backup: { pages: false } })];
    const first = await off.take(signal);
    await execute(server, ...spreadUpdates(1));
    await off.take(signal);
    expect((await list(base)).map(({ isPlain }) => isPlain)).toEqual([true, true]);
    const second = (await list(base))[1]!;
    await execute(server, ...spreadUpdates(2));
    const lock = await (await testSystem()).locks.hold(second.path, 'shared');
    const third = await base.take(signal);
    await lock?.release();
    expect((await list(base)).map(({ isPlain }) => isPlain)).toEqual([true, true, true]);
    for (const backup of [first, second, third]) expectAccepted(binDir, backup);
  });

  nightly('retention removes backups in the middle and at the end, and the others stay whole', async () => {
    const server = await spread();
    const base = await baseFor(server, { maxBackups: 2 });
    const asides = new Map<string, string>();
    for (const version of [1, 2, 3, 4, 5]) {
      const taken = await base.take(signal, { pin: version === 3 });
      asides.set(taken.label, keepAside(taken, within(`aside-${version}`)));
      await execute(server, ...spreadUpdates(version));
    }
    const backups = await list(base);
    expect(backups).toHaveLength(3);
    for (const backup of backups) {
      await base.verify(backup, signal, { deep: true });
      await expectSame(base, backup, asides.get(backup.label)!, within('scratch'));
    }
  });
});
