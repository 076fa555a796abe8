import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Local } from '../../src/instance/local.ts';
import type { HeldLock } from '../../src/kernel/machine.ts';
import { carryOut } from '../../src/recovery/carry-out.ts';
import type { Plan } from '../../src/recovery/plan.ts';

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
