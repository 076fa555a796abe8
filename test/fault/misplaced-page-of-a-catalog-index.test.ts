import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { asServerUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

const majors = installed.filter(({ directory }) => existsSync(join(directory, 'pg_checksums'))).map(({ major }) => major);
const PAGE_BYTES = 8192;

/** `from` in the place of `to`, as a disk leaves it that has mixed up two writes. */
async function mixUp({ dataDir }: Instance, path: string, from: number, to: number): Promise<void> {
  const file = await open(join(dataDir, path), 'r+');
  try {
    const page = Buffer.alloc(PAGE_BYTES);
    await file.read(page, 0, PAGE_BYTES, from * PAGE_BYTES);
    await file.write(page, 0, PAGE_BYTES, to * PAGE_BYTES);
  } finally {
    await file.close();
  }
}

/** A session that descends in such an index never arrives: no statement_timeout ends it, and it takes memory until the machine has none. */
for (const [from, to] of [
  [0, 1],
  [1, 0],
] as const) {
  scenario(
    {
      name: `page ${from} of pg_namespace_oid_index is in the place of page ${to} after a crash, and the cluster has no checksums`,
      section: 'B',
      detectedBefore: true,
      healedBy: 'repair',
      rowsLost: 'none',
      from: 'template',
      majors,
    },
    async (instance) => {
      await execa(join(instance.programs.directory, 'pg_checksums'), ['--disable', '-D', instance.dataDir], asServerUser);
      const first = await boot(instance);
      await ask(instance, 'app', 'CHECKPOINT');
      await crash(instance, first);
      await mixUp(instance, `${instance.places.app}/2685`, from, to);
      const running = await boot(instance);
      await expectAllRows(instance, 0);
      expect(await readRecovery(instance)).toMatchObject({ decision: 'repair', losses: [{ kind: 'nothing' }] });
      await expectStopped(instance, await running.stop());
    },
  );
}
