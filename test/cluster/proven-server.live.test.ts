import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { provenServer } from '../../src/cluster/drill/proven-server.ts';
import { startBare } from '../harness/bare-server.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const { signal } = new AbortController();
const prove = (asked: Instance, dataDir: string) =>
  provenServer({ host: asked.socketDir, port: asked.port }, dataDir, { superuser: 'postgres' }, signal);

test.for(installed)('the process that would be killed is the server that answered (PostgreSQL $major)', async (programs) => {
  const [one, other] = [await openInstance({ programs, from: 'template' }), await openInstance({ programs, from: 'template' })];
  const first = await startBare(one.programs, one.dataDir, one);
  const second = await startBare(other.programs, other.dataDir, other);
  const apart = mkdtempSync(join(tmpdir(), 'dbkit-apart-'));
  try {
    expect([first.up, second.up]).toEqual([true, true]);
    expect(await prove(one, one.dataDir)).toEqual({ pid: first.pid, startedTicks: expect.stringMatching(/^\d+$/) });
    expect(await prove(one, other.dataDir), 'another server answers at that socket').toBeNull();
    expect(await prove({ ...one, port: 1 }, one.dataDir), 'nobody answers').toBeNull();
    copyFileSync(join(other.dataDir, 'postmaster.pid'), join(apart, 'postmaster.pid'));
    expect(await prove(other, apart), 'the process works on another folder').toBeNull();
    const own = join(one.dataDir, 'postmaster.pid');
    const words = readFileSync(own, 'utf8');
    writeFileSync(own, words.replace(/^\d+/, String(second.pid)));
    expect(await prove(one, one.dataDir), 'its first line names the other one').toBeNull();
    writeFileSync(own, words);
    expect(await prove(one, one.dataDir)).toMatchObject({ pid: first.pid });
  } finally {
    rmSync(apart, { recursive: true });
    await Promise.all([first.stop(), second.stop()]);
  }
});
