import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../harness/processes.ts';
import { bringUpGuarded, type GuardedLab, type Load } from './guarded-lab.ts';
import { missing } from './lab.ts';

const LONG = { timeout: 600_000 };
/** A cluster, and room for the WAL of some minutes. */
const VOLUME = 'size=320m';

const mount = (path: string): boolean => spawnSync('mount', ['-t', 'tmpfs', '-o', `${VOLUME},mode=0700`, 'dbkit-test', path]).status === 0;
const unmount = (path: string): void => void spawnSync('umount', ['--lazy', path]);

/** Why no volume can be filled here; undefined when one can. */
function needsMounts(): string | undefined {
  if (process.getuid?.() !== 0 || process.platform !== 'linux') return 'only root can mount a volume';
  const path = mkdtempSync('/tmp/dbkit-mt-');
  const isMounted = mount(path);
  if (isMounted) unmount(path);
  rmSync(path, { recursive: true, force: true });
  return isMounted ? undefined : 'this machine lets root mount nothing';
}

const reason = missing.length > 0 ? `missing: ${missing.join(', ')}` : needsMounts();

describe.skipIf(reason !== undefined)(`the leader’s disk is full${reason === undefined ? '' : ` (${reason})`}`, () => {
  let lab: GuardedLab;
  const mounted: string[] = [];
  beforeAll(async () => {
    const prepare = (path: string): void => {
      expect(mount(path)).toBe(true);
      mounted.push(path);
    };
    lab = await bringUpGuarded({ firstPort: 11_620, stores: 1, prepare });
  }, LONG.timeout);
  afterAll(async () => {
    for (const path of mounted) rmSync(fillerOf(path), { force: true });
    for (const path of mounted) unmount(path); // What runs on it goes on: it is removed from sight only.
    await lab?.down();
  }, LONG.timeout);

  const leader = (): string => lab.ha('status').report.leader!;
  const isWritten = (load: Load): Promise<void> => {
    const from = load.writers.acked().length;
    return until(
      () => load.writers.acked().length > from + 20,
      () => `no row is acknowledged; ${JSON.stringify(lab.ha('check').report)}`,
      120_000,
    );
  };

  test('so that no table can grow, while WAL still has room: it is named, and a switchover helps before there is room', LONG, async () => {
    const before = leader();
    const volume = join(lab.folder, `${before}.disk`);
    const load = await lab.load();
    await isWritten(load);
    for (let segment = 0; segment < 6; segment += 1) await lab.sql('select pg_switch_wal()');
    await lab.sql('checkpoint'); // Those segments are used again, and need no room.
    await lab.sql('create table wide (text text)');
    fill(volume);
    const grow = 'insert into wide select repeat(md5(n::text), 60) from generate_series(1, 2000) n';
    await expect(lab.sql(grow)).rejects.toMatchObject({ code: '53100' });
    expect(lab.onMember(before, 'health').report.probes).toContainEqual(
      expect.objectContaining({ name: 'disk', status: 'critical', summary: expect.stringMatching(/data|full/) }),
    );
    expect(leader()).toBe(before); // Patroni sees nothing wrong.
    lab.ha('switchover'); // It waits for the old leader too, which may not be able to follow yet.
    expect(leader()).not.toBe(before);
    await isWritten(load);
    await lab.sql(grow);
    rmSync(fillerOf(volume));
    await lab.isWell();
    await isWritten(load);
    expect(await load.end()).toMatchObject({ lostRows: 0, twoWritableMs: 0 });
    await lab.sql('drop table wide');
  });

  test(
    'so that it cannot write WAL: another takes over, no acknowledged row is gone, and it follows when there is room',
    LONG,
    async () => {
      const before = leader();
      const volume = join(lab.folder, `${before}.disk`);
      const load = await lab.load();
      await isWritten(load);
      fill(volume);
      await lab.sql('select pg_switch_wal()').catch(() => undefined); // The next segment may be there already.
      await until(
        () => leader() !== before && leader() !== null,
        () => `${before} leads on: ${JSON.stringify(lab.ha('check').report)}`,
        120_000,
      );
      await isWritten(load);
      const told = lab.ha('check').report.findings!;
      expect(
        told.some(({ member }) => member === before),
        JSON.stringify(told),
      ).toBe(true);
      rmSync(fillerOf(volume));
      await lab.isWell();
      await isWritten(load);
      expect(await load.end()).toMatchObject({ lostRows: 0, twoWritableMs: 0 });
    },
  );
});

const fillerOf = (volume: string): string => join(volume, 'filler');

/** All that is left of it. */
function fill(volume: string): void {
  for (const sizeBytes of [1024 * 1024, 4096]) {
    const chunk = Buffer.alloc(sizeBytes);
    for (let { bavail, bsize } = statfsSync(volume); bavail * bsize >= sizeBytes; { bavail, bsize } = statfsSync(volume))
      writeFileSync(fillerOf(volume), chunk, { flag: 'a' });
  }
}
