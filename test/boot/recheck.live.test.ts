import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recheck } from '../../src/boot/recheck.ts';
import { inProduction, parseControlFile } from '../../src/formats/control-file.ts';
import type { Inspection } from '../../src/inspection/inspect.ts';
import type { Local } from '../../src/instance/local.ts';
import { volumeOf } from '../../src/instance/volume.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { serverUser } from '../harness/as-user.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const { signal } = new AbortController();

test('what keeps dbkit from holding pages against the backup after a crash is told, and the proof is still owed', async () => {
  const { dataDir, stateDir } = await openInstance({ programs: installed[0]!, from: 'template' });
  const path = join(dataDir, 'global/pg_control');
  await writeFile(path, inProduction(await readFile(path)));
  for (const folder of [stateDir, join(dataDir, '.dbkit')]) await mkdir(folder, { recursive: true });
  const read = parseControlFile(await readFile(path));
  if (!('control' in read)) throw new Error(read.problem);
  const { systemIdentifier } = read.control;
  const log = createLogger('error', () => undefined);
  const clock = { now: () => new Date(0), monotonicMs: () => 0 };
  const local = {
    volume: volumeOf(dataDir),
    stateDir,
    owner: serverUser,
    system: { files: createFiles(log), clock, log },
  } as unknown as Local;
  const report = { systemIdentifier, findings: [] };
  const before = {
    control: read.control,
    cleanShutdown: false,
    readable: true,
    follows: false,
    isUnproven: false,
    sizeOf: () => undefined,
    report,
  };
  const asked = { local, before: before as unknown as Inspection, socketDir: undefined };

  const rechecked = await recheck(asked, () => Promise.reject(new Error('the backup is on a disk that does not answer')), signal);
  expect(rechecked).toMatchObject({ damage: [], isCutShort: false, unknown: { losses: [{ kind: 'unknown', reason: 'unproven' }] } });
  expect(rechecked?.unknown?.because).toContain('the backup is on a disk that does not answer');
  expect(existsSync(join(dataDir, '.dbkit/proof-owed.json'))).toBe(true);
});
