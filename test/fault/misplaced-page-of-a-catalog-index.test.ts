import { existsSync } from 'node:fs';
import { open, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { asServerUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';
import { segments, untilMarked } from './wal.ts';

const majors = installed.filter(({ directory }) => existsSync(join(directory, 'pg_checksums'))).map(({ major }) => major);
const PAGE_BYTES = 8192;
/** BTMetaPageData.btm_root, nbtree.h. */
const ROOT_OFFSET = 24 + 8;

/** One page in the places of others, as a disk leaves it that has mixed up its writes. */
async function mixUp(
  { dataDir }: Instance,
  path: string,
  choose: (meta: Buffer) => { from: number; to: readonly number[] },
): Promise<void> {
  const file = await open(join(dataDir, path), 'r+');
  try {
    const pageAt = async (block: number): Promise<Buffer> => {
      const page = Buffer.alloc(PAGE_BYTES);
      await file.read(page, 0, PAGE_BYTES, block * PAGE_BYTES);
      return page;
    };
    const { from, to } = choose(await pageAt(0));
    const page = await pageAt(from);
    for (const block of to) await file.write(page, 0, PAGE_BYTES, block * PAGE_BYTES);
  } finally {
    await file.close();
  }
}

const page = (from: number, to: number) => () => ({ from, to: [to] });

/** All that lies before it are leaves of the first days. */
function rootInPlaceOfLeaves(meta: Buffer): { from: number; to: readonly number[] } {
  const from = meta.readUInt32LE(ROOT_OFFSET);
  return { from, to: Array.from({ length: from - 1 }, (_, index) => index + 1) };
}

const noChecksums = async ({ programs, dataDir }: Instance): Promise<void> => {
  await execa(join(programs.directory, 'pg_checksums'), ['--disable', '-D', dataDir], asServerUser);
};

const fileOf = async (instance: Instance, index: string): Promise<string> =>
  String((await ask(instance, 'app', `SELECT pg_relation_filepath('${index}') AS file`))[0]!['file']);

const hitsOf = async (instance: Instance): Promise<number> =>
  Number((await ask(instance, 'app', 'SELECT count(*) AS hits FROM hits'))[0]!['hits']);

/** A session that descends in such an index never arrives: no statement_timeout ends it, and it takes memory until the machine has none. */
for (const [name, index, choose] of [
  ['page 0 of pg_namespace_oid_index is in the place of page 1', 'pg_namespace_oid_index', page(0, 1)],
  ['page 1 of pg_namespace_oid_index is in the place of page 0', 'pg_namespace_oid_index', page(1, 0)],
  ['page 0 of pg_database_datname_index is in the place of page 1', 'pg_database_datname_index', page(0, 1)],
  ['the root of pg_attribute_relid_attnum_index is in the place of its leaves', 'pg_attribute_relid_attnum_index', rootInPlaceOfLeaves],
] as const) {
  scenario(
    {
      name: `${name} after a crash, and the cluster has no checksums`,
      section: 'B',
      detectedBefore: false,
      healedBy: 'repair',
      rowsLost: 'none',
      from: 'template',
      majors,
    },
    async (instance) => {
      await noChecksums(instance);
      const first = await boot(instance);
      const file = await fileOf(instance, index);
      await ask(instance, 'app', 'CHECKPOINT');
      await crash(instance, first);
      await mixUp(instance, file, choose);
      await rm(join(instance.dataDir, instance.places.app, 'pg_internal.init'), { force: true }); // A session begins without it, too, and asks more.
      const running = await boot(instance);
      await expectAllRows(instance, 0);
      expect(await readRecovery(instance)).toMatchObject({ decision: 'repair', losses: [{ kind: 'nothing' }] });
      await expectStopped(instance, await running.stop());
    },
  );
}

const UNLOGGED = 'CREATE UNLOGGED TABLE hits AS SELECT generate_series(1, 1000) AS n';

scenario(
  {
    name: 'a page of a catalog’s index came into the place of another while no server ran, and the cluster has no checksums',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none, also of unlogged tables',
    from: 'template',
    majors,
  },
  async (instance) => {
    await noChecksums(instance);
    const first = await boot(instance);
    await ask(instance, 'app', UNLOGGED);
    const file = await fileOf(instance, 'pg_namespace_oid_index');
    await first.stop();
    await mixUp(instance, file, page(0, 1));
    const running = await boot(instance);
    await expectAllRows(instance, 0);
    expect(await hitsOf(instance)).toBe(1000);
    expect(await readRecovery(instance)).toMatchObject({ decision: 'repair', losses: [{ kind: 'nothing' }] });
    await expectStopped(instance, await running.stop());
  },
);

for (const [restarts, what] of [
  ['on', ''],
  ['off', ', and restart_after_crash is off'],
] as const)
  scenario(
    {
      name: `the same of an index that had been built anew, and its file bears an older time${what}`,
      section: 'B',
      detectedBefore: false,
      healedBy: 'repair',
      rowsLost: 'those of unlogged tables: told',
      from: 'template',
      majors,
    },
    async (instance) => {
      await noChecksums(instance);
      const first = await boot(instance);
      await ask(instance, 'app', UNLOGGED);
      await ask(instance, 'app', 'REINDEX INDEX pg_namespace_oid_index');
      await ask(instance, 'app', `ALTER SYSTEM SET restart_after_crash = ${restarts}`);
      const file = await fileOf(instance, 'pg_namespace_oid_index');
      await first.stop();
      const { atime, mtime } = await stat(join(instance.dataDir, file));
      await mixUp(instance, file, page(0, 1));
      await utimes(join(instance.dataDir, file), atime, mtime);
      const running = await boot(instance);
      await expectAllRows(instance, 0);
      expect(await hitsOf(instance)).toBe(0);
      expect(await readRecovery(instance)).toMatchObject({ decision: 'repair', losses: [{ kind: 'unlogged' }] });
      await expectStopped(instance, await running.stop());
    },
  );

scenario(
  {
    name: 'the newest WAL is gone as well after a crash: what it held is told, although the server is started once more for the index',
    section: 'B',
    detectedBefore: false,
    healedBy: 'repair',
    rowsLost: 'those in the WAL that is gone; the report tells from where on',
    from: 'template',
    majors,
  },
  async (instance) => {
    await noChecksums(instance);
    const first = await boot(instance);
    const file = await fileOf(instance, 'pg_namespace_oid_index');
    await ask(instance, 'app', 'CHECKPOINT', 'SELECT pg_switch_wal()');
    await addRows(instance, known.ledger + 1, 10);
    await ask(instance, 'app', 'SELECT pg_switch_wal()');
    await addRows(instance, known.ledger + 11, 10);
    await untilMarked(instance);
    await crash(instance, first);
    const newest = (await segments(instance)).sort().at(-1)!;
    await rm(join(instance.dataDir, newest));
    await mixUp(instance, file, page(0, 1));
    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({ decision: 'repair', losses: [{ kind: 'window' }] });
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
    await expectStopped(instance, await running.stop());
  },
);
