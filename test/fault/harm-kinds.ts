import { existsSync, statSync } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { ownedBy } from '../harness/files.ts';

const PAGE = 8192;
export type Draw = () => number;

/** One place that may be harmed: a group of paths that mean the same to PostgreSQL. `harmless`: nothing of the user's is in it. */
interface Group {
  readonly id: string;
  readonly of: RegExp;
  readonly weight: number;
  readonly harmless?: boolean;
}

/** Paths are relative to the root of the scene. */
export const groups: readonly Group[] = [
  { id: 'relation', of: /^data\/(base\/\d+|pg_tblspc\/\d+\/PG_\w+\/\d+)\/(1[6-9]|[2-9]\d)\d{3}$/, weight: 30 },
  { id: 'catalog', of: /^data\/base\/(1[6-9]|[2-9]\d)\d{3}\/\d{1,5}$/, weight: 10 },
  { id: 'shared-catalog', of: /^data\/global\/\d+$/, weight: 6 },
  { id: 'map', of: /^data\/(base\/\d+|global)\/pg_filenode\.map$/, weight: 3 },
  { id: 'control', of: /^data\/global\/pg_control$/, weight: 5 },
  { id: 'transactions', of: /^data\/(pg_xact|pg_multixact\/(offsets|members)|pg_subtrans)\/[0-9A-F]+$/, weight: 9 },
  { id: 'wal', of: /^data\/pg_wal\/[0-9A-F]{24}$/, weight: 14 },
  { id: 'prepared', of: /^data\/pg_twophase\/[0-9A-F]+$/, weight: 2 },
  { id: 'maps-of-space', of: /^data\/.*\/\d+_(fsm|vm)$/, weight: 2, harmless: true },
  { id: 'cache', of: /^data\/(.*\/pg_internal\.init|pg_stat\/.*|pg_logical\/.*)$/, weight: 1, harmless: true },
  { id: 'init-fork', of: /^data\/.*\/\d+_init$/, weight: 1 },
  { id: 'settings', of: /^data\/(postgresql|postgresql\.auto|pg_hba|pg_ident)\.conf$/, weight: 1, harmless: true },
  { id: 'version', of: /^data\/(.*\/)?PG_VERSION$/, weight: 1 },
  {
    id: 'folder',
    of: /^data\/(base|global|pg_wal|pg_xact|pg_multixact|pg_twophase|pg_tblspc|base\/\d+|pg_multixact\/\w+|pg_subtrans)$/,
    weight: 9,
  },
  {
    id: 'empty-folder',
    of: /^data\/(pg_notify|pg_serial|pg_snapshots|pg_dynshmem|pg_stat_tmp|pg_replslot|pg_commit_ts|pg_logical\/\w+)$/,
    weight: 1,
    harmless: true,
  },
  { id: 'space', of: /^(data\/pg_tblspc\/\d+|space|space\/PG_[^/]+)$/, weight: 3 },
  { id: 'memory', of: /^(state|data\/\.dbkit)(\/.*)?$/, weight: 4, harmless: true },
  { id: 'backup', of: /^backups\/data_\d+_\d+\/.*$/, weight: 4, harmless: true },
  { id: 'backup-itself', of: /^backups\/(data_\d+_\d+(\.json)?|wal|.*backup_manifest|.*backup_label)$/, weight: 4, harmless: true },
  { id: 'archive', of: /^backups\/wal\/.*$/, weight: 4, harmless: true },
];

interface Target {
  readonly path: string;
  readonly sizeBytes: number;
  /** The same file as it was some time before; undefined: there was none. */
  readonly older: string | undefined;
  /** Another file of the same group. */
  readonly other: string | undefined;
  readonly draw: Draw;
}

interface Kind {
  readonly id: string;
  readonly weight: number;
  readonly when: (target: Target) => boolean;
  readonly harm: (target: Target) => Promise<void>;
}

const pagesOf = ({ sizeBytes }: Target): number => Math.floor(sizeBytes / PAGE);
const isPaged = (target: Target): boolean => target.sizeBytes >= PAGE;
const holds = ({ sizeBytes }: Target): boolean => sizeBytes > 0;
const somePage = (target: Target): number => Math.floor(target.draw() * pagesOf(target));
const noise = (bytes: number, draw: Draw): Buffer => Buffer.from(Uint8Array.from({ length: bytes }, () => Math.floor(draw() * 256)));

async function overwrite(path: string, bytes: Buffer, at: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at).finally(() => file.close());
}

/** To one file. */
export const fileKinds: readonly Kind[] = [
  { id: 'removed', weight: 6, when: () => true, harm: ({ path }) => rm(path) },
  { id: 'emptied', weight: 4, when: holds, harm: ({ path }) => truncate(path, 0) },
  { id: 'cut', weight: 3, when: holds, harm: ({ path, sizeBytes, draw }) => truncate(path, Math.floor(draw() * sizeBytes)) },
  { id: 'cut-at-a-page', weight: 4, when: isPaged, harm: (target) => truncate(target.path, somePage(target) * PAGE) },
  { id: 'zeroed', weight: 3, when: holds, harm: ({ path, sizeBytes }) => overwrite(path, Buffer.alloc(sizeBytes), 0) },
  {
    id: 'zeroed-to-the-end',
    weight: 5,
    when: holds,
    harm: ({ path, sizeBytes, draw }) => {
      const at = Math.floor(draw() * sizeBytes);
      return overwrite(path, Buffer.alloc(sizeBytes - at), at);
    },
  },
  { id: 'page-zeroed', weight: 6, when: isPaged, harm: (target) => overwrite(target.path, Buffer.alloc(PAGE), somePage(target) * PAGE) },
  {
    id: 'sector-zeroed',
    weight: 4,
    when: holds,
    harm: ({ path, sizeBytes, draw }) =>
      overwrite(path, Buffer.alloc(Math.min(512, sizeBytes)), Math.floor((draw() * Math.max(sizeBytes - 512, 0)) / 512) * 512),
  },
  {
    id: 'bit-flipped',
    weight: 6,
    when: holds,
    async harm({ path, sizeBytes, draw }) {
      const at = Math.floor(draw() * sizeBytes);
      const bytes = await readFile(path);
      await overwrite(path, Buffer.from([bytes[at]! ^ (1 << Math.floor(draw() * 8))]), at);
    },
  },
  {
    id: 'page-garbled',
    weight: 4,
    when: isPaged,
    harm: (target) => overwrite(target.path, noise(PAGE, target.draw), somePage(target) * PAGE),
  },
  {
    id: 'garbled',
    weight: 2,
    when: holds,
    harm: ({ path, sizeBytes, draw }) => overwrite(path, noise(Math.min(sizeBytes, 65_536), draw), 0),
  },
  { id: 'older', weight: 6, when: ({ older }) => older !== undefined, harm: ({ path, older }) => copyFile(older!, path) },
  {
    id: 'page-older',
    weight: 5,
    when: (target) => isPaged(target) && target.older !== undefined && statSync(target.older).size >= PAGE,
    async harm(target) {
      const old = await readFile(target.older!);
      const page = somePage({ ...target, sizeBytes: Math.min(old.length, target.sizeBytes) });
      await overwrite(target.path, old.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
    },
  },
  {
    id: 'page-twice',
    weight: 3,
    when: (target) => pagesOf(target) > 1,
    async harm(target) {
      const bytes = await readFile(target.path);
      const [from, to] = [somePage(target), somePage(target)];
      await overwrite(target.path, bytes.subarray(from * PAGE, (from + 1) * PAGE), (from === to ? (to + 1) % pagesOf(target) : to) * PAGE);
    },
  },
  { id: 'another-in-its-place', weight: 3, when: ({ other }) => other !== undefined, harm: ({ path, other }) => copyFile(other!, path) },
  {
    id: 'longer-by-zeroes',
    weight: 2,
    when: holds,
    harm: ({ path, sizeBytes, draw }) => truncate(path, sizeBytes + PAGE * Math.ceil(draw() * 3)),
  },
  {
    id: 'longer-by-garbage',
    weight: 1,
    when: holds,
    harm: ({ path, sizeBytes, draw }) => overwrite(path, noise(PAGE, draw), sizeBytes),
  },
  {
    id: 'folder-in-its-place',
    weight: 1,
    when: () => true,
    async harm({ path }) {
      await rm(path);
      await mkdir(path);
      await ownedBy(path, serverUser);
    },
  },
];

/** To a folder and all that is in it. */
export const folderKinds: readonly Kind[] = [
  { id: 'removed', weight: 4, when: () => true, harm: ({ path }) => rm(path, { recursive: true }) },
  {
    id: 'emptied',
    weight: 3,
    when: () => true,
    harm: ({ path }) => within(path, async (name) => rm(name, { recursive: true, force: true })),
  },
  {
    id: 'half-emptied',
    weight: 4,
    when: () => true,
    harm: ({ path, draw }) => within(path, async (name) => (draw() < 0.5 ? rm(name, { recursive: true, force: true }) : undefined)),
  },
  {
    id: 'tails-zeroed',
    weight: 3,
    when: () => true,
    harm: ({ path, draw }) =>
      within(path, async (name) => {
        const { size } = await stat(name);
        if (draw() < 0.3 && size > 0 && (await stat(name)).isFile())
          await overwrite(name, Buffer.alloc(Math.ceil(size / 2)), Math.floor(size / 2));
      }),
  },
  {
    id: 'file-in-its-place',
    weight: 1,
    when: () => true,
    async harm({ path }) {
      await rm(path, { recursive: true });
      await writeFile(path, '');
      await ownedBy(path, serverUser);
    },
  },
  { id: 'renamed', weight: 2, when: () => true, harm: ({ path }) => rename(path, join(dirname(path), `${basename(path)}.old`)) },
  { id: 'locked-away', weight: 1, when: () => true, harm: ({ path }) => chmod(path, 0o000) },
];

const within = async (path: string, each: (name: string) => Promise<unknown>): Promise<void> => {
  for (const name of await readdir(path).catch(() => [] as string[])) await each(join(path, name));
};

/** By weight. */
export function choose<T extends { readonly weight: number }>(from: readonly T[], draw: Draw): T {
  let at = draw() * from.reduce((sum, { weight }) => sum + weight, 0);
  for (const one of from) {
    at -= one.weight;
    if (at < 0) return one;
  }
  return from.at(-1)!;
}

export interface Harm {
  readonly group: Group;
  readonly kind: string;
  readonly path: string;
}

/** Harms something below `root`, of which these are the entries. `keepsTimes`: as a disk does that forgets, and not as a program that writes. */
export async function harmSomething(
  { root, entries, older }: { readonly root: string; readonly entries: readonly string[]; readonly older: string },
  { draw, keepsTimes }: { readonly draw: Draw; readonly keepsTimes: boolean },
): Promise<Harm> {
  const there = entries.filter((entry) => existsSync(join(root, entry)) && !statSync(join(root, entry)).isSocket());
  const group = choose(
    groups.filter(({ of }) => there.some((entry) => of.test(entry))),
    draw,
  );
  const candidates = there.filter((entry) => group.of.test(entry));
  const name = candidates[Math.floor(draw() * candidates.length)]!;
  const path = join(root, name);
  const before = await stat(path);
  const earlier = join(older, name.replace(/^data\//, ''));
  const others = candidates.filter((one) => one !== name && statSync(join(root, one)).isFile());
  const other = others[Math.floor(draw() * others.length)];
  const target: Target = {
    path,
    sizeBytes: before.size,
    older:
      name.startsWith('data/') &&
      existsSync(earlier) &&
      !(await readFile(earlier).catch(() => Buffer.alloc(0))).equals(await readFile(path).catch(() => Buffer.alloc(0)))
        ? earlier
        : undefined,
    other: other && join(root, other),
    draw,
  };
  const kind = choose(
    (before.isDirectory() ? folderKinds : fileKinds).filter(({ when }) => when(target)),
    draw,
  );
  await kind.harm(target);
  if (keepsTimes && existsSync(path)) await utimes(path, before.atime, before.mtime);
  return { group, kind: kind.id, path: name };
}
