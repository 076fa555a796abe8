import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs, {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { shareWith } from '../../src/backups/base/earlier.ts';
import { whereaboutsIn } from '../../src/backups/base/pages/packed.ts';
import { baseBackupRecords } from '../../src/backups/base/record.ts';
import { fromText, toText } from '../../src/formats/byte-path.ts';
import { openLayered } from '../../src/formats/layered-file.ts';
import { loadZstdSync } from '../../src/formats/zstd.ts';
import { failing, withCalls } from '../harness/other-calls.ts';
import { nightly } from '../harness/tier.ts';
import { record } from './record.fixture.ts';
import { takeNext } from './take-over.fixture.ts';

vi.setConfig({ testTimeout: 900_000, hookTimeout: 60_000 });

const PAGE = 8192;
const paths = ['base/1', 'base/2', 'global/pg_control'] as const;
type Content = Readonly<Record<(typeof paths)[number], Buffer>>;

let root: string;
const within = (...names: string[]): string => join(root, ...names);

class Dead extends Error {}

/** The machine dies at the N-th call that changes something below a folder: that one and every later one does nothing any more. */
async function dyingAt<T>(
  below: string,
  at: number,
  work: () => Promise<T>,
): Promise<{ readonly isDead: boolean; readonly calls: number }> {
  const undo: (() => void)[] = [];
  const descriptors = new Set<number>();
  let met = 0;
  const meet = (half?: () => void): void => {
    met += 1;
    if (met === at) half?.();
    if (met >= at) throw new Dead();
  };
  type Functions = Record<string, (...args: unknown[]) => unknown>;
  const patch = (home: object, name: string, how: (own: (...args: unknown[]) => unknown, args: unknown[]) => unknown): void => {
    const functions = home as Functions;
    const own = functions[name]!;
    functions[name] = function (this: unknown, ...args: unknown[]) {
      return how((...given) => own.apply(this, given), args);
    };
    undo.push(() => {
      functions[name] = own;
    });
  };
  const isBelow = (path: unknown): boolean => String(path).startsWith(below);
  for (const name of ['mkdir', 'link', 'rename', 'rm', 'unlink', 'chmod', 'writeFile', 'copyFile']) {
    const place = name === 'link' || name === 'rename' || name === 'copyFile' ? 1 : 0;
    patch(fs, `${name}Sync`, (own, args) => {
      if (isBelow(args[place])) meet();
      return own(...args);
    });
    patch(fs.promises, name, async (own, args) => {
      if (isBelow(args[place])) meet();
      return own(...args);
    });
  }
  patch(fs, 'openSync', (own, args) => {
    const file = own(...args) as number;
    if (isBelow(args[0])) descriptors.add(file);
    else descriptors.delete(file);
    return file;
  });
  patch(fs, 'writeSync', (own, [file, bytes, offset, length, position]) => {
    const half = (): unknown => own(file, bytes, offset, Math.ceil(Number(length) / 2), position); // Torn.
    if (descriptors.has(Number(file))) meet(at % 2 === 0 ? half : undefined);
    return own(file, bytes, offset, length, position);
  });
  for (const name of ['ftruncateSync', 'fsyncSync', 'fchmodSync'])
    patch(fs, name, (own, args) => {
      if (descriptors.has(Number(args[0]))) meet();
      return own(...args);
    });
  const handle = await fs.promises.open('/dev/null');
  for (const name of ['writeFile', 'sync', 'chmod'])
    patch(Object.getPrototypeOf(handle) as object, name, async (own, args) => {
      meet();
      return own(...args);
    });
  await handle.close();
  syncBuiltinESMExports();
  try {
    await work();
    return { isDead: false, calls: met };
  } catch (cause) {
    if (met < at) throw cause;
    return { isDead: true, calls: met };
  } finally {
    for (const back of undo.reverse()) back();
    syncBuiltinESMExports();
  }
}

beforeAll(async () => {
  await loadZstdSync();
  root = mkdtempSync(join(tmpdir(), 'dbkit-take-over-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const changed = (bytes: Buffer, ...blocks: readonly number[]): Buffer => {
  const now = Buffer.from(bytes);
  for (const block of blocks) randomBytes(200).copy(now, block * PAGE + 300);
  return now;
};
const first: Content = { 'base/1': randomBytes(140 * PAGE), 'base/2': randomBytes(135 * PAGE), 'global/pg_control': Buffer.alloc(PAGE, 1) };
const second: Content = {
  'base/1': changed(first['base/1'], 0, 5, 6, 139),
  'base/2': first['base/2'],
  'global/pg_control': Buffer.alloc(PAGE, 2),
};
const third: Content = {
  'base/1': Buffer.concat([changed(second['base/1'], 5, 30), randomBytes(3 * PAGE)]), // Grown.
  'base/2': changed(second['base/2'], 2, 20).subarray(0, 130 * PAGE), // Cut.
  'global/pg_control': Buffer.alloc(PAGE, 3),
};
const labels = ['data_20261120_000001', 'data_20261120_000002', 'data_20261120_000003'] as const;

function writeTree(directory: string, content: Content): void {
  for (const folder of ['base', 'global']) mkdirSync(join(directory, folder), { recursive: true });
  for (const path of paths) writeFileSync(join(directory, path), content[path], { mode: 0o600 });
}

const writeRecord = (backupDir: string, label: string): void =>
  writeFileSync(join(backupDir, `${label}.json`), `${JSON.stringify({ ...record, label })}\n`);

/** Two backups: the second took pages of one file over from the first, and shares the other. */
async function makeRepository(backupDir: string): Promise<void> {
  writeTree(join(backupDir, labels[0]), first);
  writeRecord(backupDir, labels[0]);
  writeTree(within('source'), second);
  await takeNext(backupDir, within('source'), labels[1]);
  rmSync(join(backupDir, labels[1], 'base/2'));
  linkSync(fileOf(backupDir, labels[0], 'base/2'), join(backupDir, labels[1], 'base/2'));
}

const recordOf = (backupDir: string, label: string) =>
  baseBackupRecords.parse(JSON.parse(readFileSync(join(backupDir, `${label}.json`), 'utf8')));
const fileOf = (backupDir: string, label: string, path: string): string =>
  toText(whereaboutsIn(recordOf(backupDir, label), fromText(join(backupDir, label)))(fromText(path)).from);

function contentOf(backupDir: string, label: string, path: string): Buffer {
  const { from, layers } = whereaboutsIn(recordOf(backupDir, label), fromText(join(backupDir, label)))(fromText(path));
  if (layers === undefined) return readFileSync(toText(from));
  const source = openLayered(from, layers);
  const into = Buffer.alloc(layers.sizeBytes);
  expect(source.fill(into, into.length, 0)).toBe(into.length);
  source.close();
  return into;
}

function expectWhole(backupDir: string, label: string, content: Content, when: string): void {
  for (const path of paths) expect(contentOf(backupDir, label, path).equals(content[path]), `${label} ${path} ${when}`).toBe(true);
}

/** Every backup is what it was at the very moment of the kill, and the next run leaves nothing behind and the newest one plain. */
async function expectRight(backupDir: string, when: string): Promise<void> {
  const published = existsSync(join(backupDir, `${labels[2]}.json`));
  expectWhole(backupDir, labels[0], first, `${when}, at once`);
  expectWhole(backupDir, labels[1], second, `${when}, at once`);
  if (published) expectWhole(backupDir, labels[2], third, `${when}, at once`);
  await takeNext(backupDir, within('source'), undefined);
  expectWhole(backupDir, labels[0], first, `${when}, settled`);
  expectWhole(backupDir, labels[1], second, `${when}, settled`);
  expect(readdirSync(join(backupDir, '.partial')), when).toEqual([]);
  const isThere = existsSync(join(backupDir, `${labels[2]}.json`));
  if (isThere) expectWhole(backupDir, labels[2], third, `${when}, settled`);
  const newest = isThere ? labels[2] : labels[1];
  expect(recordOf(backupDir, newest).packed, `${newest} is plain ${when}`).toEqual([]);
  expect(existsSync(join(backupDir, newest, '.pages')), when).toBe(false);
  for (const path of paths) expect(statSync(join(backupDir, newest, path)).isFile(), when).toBe(true);
}

const again = (whole: string): string => {
  const backupDir = within('repository');
  rmSync(backupDir, { recursive: true, force: true });
  spawnSync('cp', ['-a', whole, backupDir]); // Links stay links.
  return backupDir;
};

test('three backups in a row: each is what it was, and the newest is plain', async () => {
  const backupDir = within('plain');
  await makeRepository(backupDir);
  writeTree(within('source'), third);
  await takeNext(backupDir, within('source'), labels[2]);
  await expectRight(backupDir, 'after three');
  expect(recordOf(backupDir, labels[0]).packed.map(({ deltas }) => deltas.length)).toEqual([2, 2]);
  expect(recordOf(backupDir, labels[1]).packed.map(({ deltas }) => deltas.length)).toEqual([1, 1]);
});

/** The folder of the running server, where whoever wrote the backup lets a folder of it lead. */
function linkTo(backup: string, folder: string): { readonly live: string; readonly names: readonly string[] } {
  const live = within('live', folder);
  rmSync(within('live'), { recursive: true, force: true });
  mkdirSync(within('live'));
  spawnSync('cp', ['-a', join(backup, folder), live]);
  writeFileSync(join(live, 'of-the-server'), 'precious');
  rmSync(join(backup, folder), { recursive: true });
  symlinkSync(live, join(backup, folder));
  return { live, names: readdirSync(live) };
}

const contentsOf = (folder: string, names: readonly string[]): readonly string[] =>
  names.map((name) => `${name} ${statSync(join(folder, name)).nlink} ${readFileSync(join(folder, name)).toString('base64')}`);

test.each(['base', 'global', '.pages'])(
  'nothing is written, linked or removed behind a link where %s of an earlier backup was',
  async (folder) => {
    const backupDir = within('linked');
    rmSync(backupDir, { recursive: true, force: true });
    await makeRepository(backupDir);
    const earlier = join(backupDir, labels[1]);
    mkdirSync(join(earlier, '.pages'), { recursive: true });
    const { live, names } = linkTo(earlier, folder);
    const before = contentsOf(live, names);
    writeTree(within('source'), third);
    await takeNext(backupDir, within('source'), labels[2]).catch(() => undefined); // It is refused, or copied whole.
    expect(readdirSync(live)).toEqual(names);
    expect(contentsOf(live, names)).toEqual(before);
    if (folder === '.pages') return;
    const sharing = await shareWith({ record: { ...record, label: labels[1] }, directory: earlier, stampOf: () => undefined }, undefined, {
      warn: () => undefined,
    } as never);
    expect(
      sharing.share(fromText(`${folder}/x`), { sizeBytes: 1, mtimeNs: 0n, ctimeNs: 0n, inode: 0n }, fromText(within('y'))),
    ).toBeUndefined();
  },
);

test('a made-up journal of a takeover changes nothing behind a link where pages of a backup were', async () => {
  const backupDir = within('made-up');
  await makeRepository(backupDir);
  const { live, names } = linkTo(join(backupDir, labels[0]), '.pages'); // Of the first one pages are kept.
  const journal = {
    schema: 'dbkit.takeover/v1',
    label: labels[2],
    files: [{ path: 'base/1', number: 1, holders: [labels[0]] }],
  };
  writeFileSync(join(backupDir, '.partial', `${labels[2]}.takeover.json`), JSON.stringify(journal));
  const before = contentsOf(live, names);
  await takeNext(backupDir, within('source'), undefined);
  expect(readdirSync(live)).toEqual(names);
  expect(contentsOf(live, names)).toEqual(before);
  expect(recordOf(backupDir, labels[0])).toMatchObject({ state: 'damaged', problem: expect.stringContaining('a link stands') });
  expect(recordOf(backupDir, labels[1])).toMatchObject({ state: 'good', problem: null });
});

test('a published backup that a disk does not show for a moment is not taken back', async () => {
  const backupDir = within('unseen');
  await makeRepository(backupDir);
  writeTree(within('source'), third);
  await takeNext(backupDir, within('source'), labels[2]);
  const files = ['base/1', 'base/2'].map((path, index) => ({ path, number: index + 1, holders: [labels[0], labels[1]] }));
  const journal = { schema: 'dbkit.takeover/v1', label: labels[2], files }; // As it is for a moment, until it is removed.
  writeFileSync(join(backupDir, '.partial', `${labels[2]}.takeover.json`), JSON.stringify(journal));
  const unseen = (path: string): boolean => path === join(backupDir, labels[2]);
  const next = withCalls({ lstat: failing('EIO', unseen) }, () => takeNext(backupDir, within('source'), undefined));
  await expect(next).rejects.toMatchObject({ code: 'EIO' });
  await expectRight(backupDir, 'after a disk that did not answer');
});

nightly('killed at any call of the file system, each backup is what it was, at once and after the next run', async () => {
  const whole = within('whole');
  await makeRepository(whole);
  writeTree(within('source'), third);
  let [rolledBack, finished] = [0, 0];
  for (let at = 1; ; at += 1) {
    const backupDir = again(whole);
    const { isDead, calls } = await dyingAt(backupDir, at, () => takeNext(backupDir, within('source'), labels[2]));
    await expectRight(backupDir, isDead ? `killed at call ${at}` : 'not killed');
    if (existsSync(join(backupDir, `${labels[2]}.json`))) finished += 1;
    else rolledBack += 1;
    if (!isDead) {
      expect(calls).toBeGreaterThan(80);
      break;
    }
  }
  expect(rolledBack).toBeGreaterThan(60);
  expect(finished).toBeGreaterThan(2);
});

nightly('killed at any call of the roll-back, each backup is what it was, at once and after the next run', async () => {
  const whole = within('whole-2');
  await makeRepository(whole);
  writeTree(within('source'), third);
  const last = await dyingAt(again(whole), Number.POSITIVE_INFINITY, () => takeNext(within('repository'), within('source'), labels[2]));
  for (const before of [4, 12, 30]) {
    const half = again(whole);
    await dyingAt(half, last.calls - before, () => takeNext(half, within('source'), labels[2]));
    const torn = within(`torn-${before}`);
    spawnSync('cp', ['-a', half, torn]);
    for (let at = 1; ; at += 1) {
      const backupDir = again(torn);
      const { isDead } = await dyingAt(backupDir, at, () => takeNext(backupDir, within('source'), undefined));
      await expectRight(backupDir, `${before} calls before the end, and the roll-back was killed at call ${at}`);
      if (!isDead) break;
    }
  }
});
