import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requiredDirectories } from '../inspection/directories.ts';
import type { DamagedCopy } from './copy-damaged.ts';

const has = (path: string): Promise<boolean> =>
  stat(path).then(
    ({ size, isDirectory }) => size > 0 || isDirectory(),
    () => false,
  );

/** Makes what a server cannot start without and what holds no rows. Resolves to what held something and is empty now, in words. */
export async function fillGaps({ dataDir, own }: DamagedCopy, major: number): Promise<string[]> {
  const lost: string[] = [];
  const write = async (path: string, text: string): Promise<void> => {
    await writeFile(join(dataDir, path), text);
    await own(join(dataDir, path));
  };
  for (const { path, holdsData } of requiredDirectories(major)) {
    if (
      await stat(join(dataDir, path)).then(
        (facts) => facts.isDirectory(),
        () => false,
      )
    )
      continue;
    await mkdir(join(dataDir, path), { recursive: true, mode: 0o700 });
    for (const part of path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'))) await own(join(dataDir, part));
    if (holdsData) lost.push(`the directory ${path} was missing: what it held is lost`);
  }
  const databases = (await readdir(join(dataDir, 'base')))
    .filter((name) => /^\d+$/.test(name))
    .map((name) => join('base', name, 'PG_VERSION'));
  for (const path of ['PG_VERSION', ...databases]) await write(path, `${major}\n`);
  for (const path of ['postgresql.conf', 'postgresql.auto.conf']) if (!(await has(join(dataDir, path)))) await write(path, '');
  return lost;
}

/** Its own settings are in the way: a typo, a library that is not installed here, more memory than this machine has. */
export async function blankConfiguration({ dataDir, own }: DamagedCopy): Promise<string> {
  for (const path of ['postgresql.conf', 'postgresql.auto.conf']) {
    await writeFile(join(dataDir, path), '');
    await own(join(dataDir, path));
  }
  return 'it does not start with its own settings; the copy was read with the default ones';
}
