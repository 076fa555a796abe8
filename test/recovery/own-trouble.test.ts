import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Local } from '../../src/instance/local.ts';
import type { HeldLock } from '../../src/kernel/machine.ts';
import { carryOut } from '../../src/recovery/carry-out.ts';
import type { Plan } from '../../src/recovery/plan.ts';
import { setAside } from '../../src/recovery/set-aside.ts';

/** A plan to bring one file back from a backup, whose copying fails with `errno`. */
async function repairing(errno: string): Promise<{ readonly outcome: Promise<unknown>; readonly dataDir: string }> {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-own-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const dataDir = join(root, 'data');
  await mkdir(join(dataDir, 'base/5'), { recursive: true });
  const finding = { code: 'relation.changed', path: 'base/5/16384', evidence: 'it is another one', severity: 'certain' } as const;
  const files = {
    makeDirectory: async (path: string) => void (await mkdir(path, { recursive: true })),
    copy: async () => Promise.reject(Object.assign(new Error(`${errno}: copy`), { code: errno })),
  };
  const log = { info: () => undefined, warn: () => undefined };
  const system = { files, log, reached: () => undefined, clock: { now: () => new Date(0) }, self: { uid: 1 } };
  const volume = { dataDir, setAside: join(dataDir, '.dbkit/set-aside') };
  const remedy = { id: 'x', then: 'repair', mend: 'bring-back-from-backup', words: 'the backup has it', loses: 'nothing' };
  const plan = {
    decision: 'repair',
    wish: undefined,
    findings: [finding],
    steps: [{ finding, remedy }],
    inspection: { control: undefined, behindGap: undefined, report: { state: 'cluster', systemIdentifier: null } },
    backedUp: new Map([['relation.changed base/5/16384', [{ path: finding.path, from: join(root, 'x'), mtimeMs: 0, sizeBytes: 0 }]]]),
  };
  const local = { volume, system, owner: undefined, stateDir: root } as unknown as Local;
  await writeFile(join(dataDir, finding.path), 'as it is');
  return { outcome: carryOut(local, plan as unknown as Plan, {} as HeldLock, new AbortController().signal), dataDir };
}

test.each(['ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENOMEM'])(
  '%s stops the recovery: a repair that it kept from its work was not tried',
  async (errno) => {
    await expect((await repairing(errno)).outcome).rejects.toMatchObject({ code: errno });
  },
);

test.each(['EIO', 'ENOENT'])('%s is of that one file: what is left to do is planned anew', async (errno) => {
  const { outcome, dataDir } = await repairing(errno);
  await expect(outcome).resolves.toMatchObject({ done: [], failed: [{ finding: { path: 'base/5/16384' } }] });
  expect(await readFile(join(dataDir, '.dbkit/set-aside/replaced_19700101_000000/base/5/16384'), 'utf8')).toBe('as it is');
});

test('what is set aside onto another volume is durable there before it goes here', async ({ skip }) => {
  const [here, there] = await Promise.all([mkdtemp('/tmp/dbkit-own-'), mkdtemp('/dev/shm/dbkit-own-').catch(() => undefined)]);
  onTestFinished(async () => {
    for (const path of [here, there]) if (path !== undefined) await rm(path, { recursive: true });
  });
  if (there === undefined || (await stat(here)).dev === (await stat(there)).dev) return skip('/tmp and /dev/shm are one volume');
  await symlink(there, join(here, 'pg_wal'));
  await writeFile(join(there, 'segment'), 'rows');
  const steps: string[] = [];
  const files = {
    makeDirectory: async (path: string) => void (await mkdir(path, { recursive: true })),
    copy: async (from: string, to: string) => {
      await copyFile(from, to);
      steps.push('copied, as files.copy does: synced');
    },
    syncDirectory: async () => void steps.push(`synced while the old one is ${existsSync(join(there, 'segment')) ? 'there' : 'gone'}`),
  };
  const system = { files, reached: () => undefined, rights: { isRoot: () => false } };
  const local = { volume: { dataDir: here }, owner: undefined, system } as unknown as Local;
  await setAside({ local, asideDir: join(here, 'aside') }, 'pg_wal/segment');
  expect(steps).toEqual(['copied, as files.copy does: synced', 'synced while the old one is there']);
  expect(await readFile(join(here, 'aside/pg_wal/segment'), 'utf8')).toBe('rows');
  expect(existsSync(join(there, 'segment'))).toBe(false);
});
