import { type BytePath, bytePath } from '../../formats/byte-path.ts';
import { zstd } from '../../formats/zstd.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import { OBJECT_BYTES_MAX } from '../../store/store.ts';
import { isPathInside } from '../names.ts';
import { FRAME_BYTES, PLAIN_BYTES_MAX } from './packer.ts';

/** Where bytes of a file lie: in the plain bytes of a pack. */
export interface Run {
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
}

export interface Pack {
  /** Below the cluster's folder; its name is the SHA-256 of what is stored. */
  readonly key: string;
  readonly storedBytes: number;
  /** The lengths of its zstd frames, which hold 1 MiB of plain bytes each, the last one less. */
  readonly frames: readonly number[];
}

export interface CopiedFile {
  readonly path: BytePath;
  readonly mode: number;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly runs: readonly Run[];
}

/** The parts of one backup in a copy, with its record; written when all that it names is there. */
export interface CopyManifest {
  readonly label: string;
  readonly systemIdentifier: string;
  readonly packs: readonly Pack[];
  /** Parents before children. */
  readonly directories: readonly BytePath[];
  readonly files: readonly CopiedFile[];
}

const MAGIC = 'dbkit.copy/v1';

/** An object holds 16 MiB of it packed, and hashes pack to half: a larger one is a bomb. Unfolded it takes ten times as much. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;

/** As it is stored. Rejects with `recovery.refused` for one that nobody could read again: that of some hundred thousand files. */
export async function packManifest(manifest: CopyManifest, textMaxBytes = TEXT_BYTES_MAX): Promise<Buffer> {
  const text = Buffer.from(renderManifest(manifest), 'latin1');
  const packed = text.length > textMaxBytes ? undefined : await (await zstd()).compress(text);
  if (packed !== undefined && packed.length <= OBJECT_BYTES_MAX) return packed;
  throw new DbkitError(
    'recovery.refused',
    `${manifest.label} has ${manifest.files.length} files, more than the manifest of a copy can name`,
    {
      hint: 'its own repository is as it was; for so many files let pgBackRest keep backups in the bucket: `backup.engine: pgbackrest`',
    },
  );
}

/** Rejects with `data.corrupt` for anything that `packManifest` would not make. */
export async function unpackManifest(packed: Uint8Array): Promise<CopyManifest> {
  const text = await (await zstd()).decompress(packed, TEXT_BYTES_MAX).catch((cause: unknown) => {
    throw broken(`it cannot be unpacked (${wordsOf(cause)})`);
  });
  return parseManifest(text.toString('latin1'));
}

/** Lines of fields between tabs, for a shell to read; docs/REPOSITORY-FORMAT.md describes them. */
export function renderManifest({ label, systemIdentifier, packs, directories, files }: CopyManifest): string {
  const lines = [
    [MAGIC, label, systemIdentifier],
    ...packs.map(({ key, storedBytes, frames }) => ['P', key, storedBytes, frames.join(',')]),
    ...directories.map((path) => ['D', escaped(path)]),
    ...files.flatMap(({ path, mode, sizeBytes, sha256, runs }) => [
      ['F', mode.toString(8), sizeBytes, sha256, escaped(path)],
      ...runs.map(({ pack, offset, length }) => ['R', pack, offset, length]),
    ]),
  ].map((fields) => fields.join('\t'));
  return `${lines.join('\n')}\nE\t${lines.length}\n`;
}

/** Anything but letters, digits and `._/-` as `\0ooo`, which `printf %b` turns back. */
const escaped = (path: string): string =>
  path.replace(/[^A-Za-z0-9._/-]/g, (one) => `\\0${one.charCodeAt(0).toString(8).padStart(3, '0')}`);
const unescaped = (text: string): BytePath =>
  bytePath(
    Buffer.from(
      text.replace(/\\0([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
      'latin1',
    ),
  );

const broken = (why: string): DbkitError =>
  new DbkitError('data.corrupt', `the manifest of a copied backup is damaged: ${why}`, {
    hint: 'restore another backup: `dbkit backup list`',
  });

/** Rejects with `data.corrupt` for anything that `renderManifest` would not write; no path in it leads out of the repository. */
export function parseManifest(text: string): CopyManifest {
  const [magic, label = '', systemIdentifier = ''] = text.slice(0, Math.max(0, text.indexOf('\n'))).split('\t');
  if (magic !== MAGIC || !/^(data|dump)_\d{8}_\d{6}$/.test(label) || !/^\d+$/.test(systemIdentifier)) throw broken('it has no head');
  const end = text.lastIndexOf('\n', text.length - 2) + 1;
  const packs: Pack[] = [];
  const directories: BytePath[] = [];
  const files: (CopiedFile & { runs: Run[] })[] = [];
  let count = 1;
  for (const line of linesBetween(text, text.indexOf('\n') + 1, end)) {
    count += 1;
    const [kind, ...fields] = line.split('\t') as [string, ...string[]];
    if (kind === 'P') packs.push(packOf(fields));
    else if (kind === 'D') directories.push(pathIn(fields[0], label));
    else if (kind === 'F') files.push(fileOf(fields, label));
    else if (kind === 'R') files.at(-1)?.runs.push(runOf(fields, packs));
    else throw broken(`it has a line ${kind}`);
  }
  if (text.slice(end) !== `E\t${count}\n`) throw broken('it is cut off');
  for (const { path, sizeBytes, runs } of files)
    if (runs.reduce((sum, { length }) => sum + length, 0) !== sizeBytes) throw broken(`${path} is not whole`);
  requireTree({ label, directories, files });
  return { label, systemIdentifier, packs, directories, files };
}

/** One at a time: a list of all of them would be larger than the text. */
function* linesBetween(text: string, from: number, to: number): Generator<string> {
  for (let at = from; at < to; ) {
    const end = text.indexOf('\n', at);
    yield text.slice(at, end);
    at = end + 1;
  }
}

/** Each path once, in a folder that is named before it; beside the folder of the backup there is only its record. */
function requireTree({ label, directories, files }: Pick<CopyManifest, 'label' | 'directories' | 'files'>): void {
  const [folders, paths] = [new Set<string>(), new Set<string>()];
  const add = (path: string, to: Set<string>): void => {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (paths.has(path) || (folder === '' ? path === label && to !== folders : !folders.has(folder))) throw broken(`${path} has no place`);
    paths.add(path);
    to.add(path);
  };
  for (const path of directories) add(path, folders);
  for (const { path } of files) add(path, paths);
}

/** A pack is closed when it holds so many; with more of them a few KiB would fill the memory. */
const FRAMES_MAX = PLAIN_BYTES_MAX / FRAME_BYTES;

function count(text: string | undefined): number {
  if (!/^\d{1,15}$/.test(text ?? '')) throw broken('a number is none');
  return Number(text);
}

function packOf([key = '', stored, frames = '']: readonly string[]): Pack {
  if (!/^packs\/[0-9a-f]{64}(\.age)?$/.test(key)) throw broken('a pack has no name');
  const lengths = frames.split(',', FRAMES_MAX + 1).map(count);
  if (lengths.length > FRAMES_MAX) throw broken('a pack holds more than fits');
  return { key, storedBytes: count(stored), frames: lengths };
}

function pathIn(text: string | undefined, label: string): BytePath {
  const path = unescaped(text ?? '');
  if (isPathInside(path) && (path === label || path === `${label}.json` || path.startsWith(`${label}/`))) return path;
  throw broken('a path leads out of the backup');
}

function fileOf([mode = '', size, sha256 = '', path]: readonly string[], label: string): CopiedFile & { runs: Run[] } {
  if (!/^[0-7]{3,4}$/.test(mode) || !/^[0-9a-f]{64}$/.test(sha256)) throw broken('a file is not described');
  return { path: pathIn(path, label), mode: Number.parseInt(mode, 8) & 0o777, sizeBytes: count(size), sha256, runs: [] };
}

function runOf([pack, offset, length]: readonly string[], packs: readonly Pack[]): Run {
  const run = { pack: count(pack), offset: count(offset), length: count(length) };
  if (run.pack < packs.length && run.length > 0) return run;
  throw broken('bytes lie in a pack that is not named, or there are none');
}
