import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readControl } from '../backups/base/cluster.ts';
import { withChecksums } from '../formats/control-file.ts';
import { isZero } from '../formats/pages.ts';
import type { Local } from '../instance/local.ts';
import { isReachable, namesIn } from '../machine/is-there.ts';
import type { DamagedCopy } from './copy-damaged.ts';

const TIMEOUT_MS = 60_000;
/** Source: pg_resetwal's documentation, "Options": how to find safe values from the names of the files. */
const perSegment = { pg_xact: 0x100000n, 'pg_multixact/offsets': 0x10000n, 'pg_multixact/members': 0xcc80n } as const;

/** Every transaction below it is in the past, and so every row may be seen; their outcomes are asked for one file after the other. */
const NOBODY_KNOWS = 0x40000000n;
/** Past every page there is, 256 TiB on: a page from the future cannot be written back, and a copy need not be thrifty. */
const FAR_AHEAD = '000000010001000000000000';

/**
 * Begins new WAL in the copy, with a control file that is made up where there is none: PostgreSQL's own pg_resetwal, told from the names of the
 * files what pg_control can no longer say. What its WAL had not yet brought to the files is lost, and what it had brought half-way is there.
 */
export async function beginNewWal(local: Local, copy: DamagedCopy, signal: AbortSignal): Promise<string> {
  const { dataDir, own } = copy;
  const { binaries, system, owner } = local;
  const control = join(dataDir, 'global', 'pg_control');
  const isKnown = await readControl(dataDir, signal).then(
    () => true,
    () => false,
  );
  if (!(await isReachable(control))) {
    await writeFile(control, '');
    await own(control);
  }
  await rm(join(dataDir, 'backup_label'), { force: true });
  await rm(join(dataDir, 'tablespace_map'), { force: true });
  const args = ['-f', '-l', FAR_AHEAD, ...(isKnown ? [] : await guesses(dataDir)), '-D', dataDir];
  await system.runner.run(
    { file: join(binaries.directory, 'pg_resetwal'), args, as: owner, env: { ...system.childEnvironment }, timeoutMs: TIMEOUT_MS },
    signal,
  );
  if (!isKnown && (await bearsChecksums(dataDir))) await rememberChecksums(control);
  return isKnown
    ? 'its WAL could not be replayed: what was written in its last minutes may be missing, or there by half'
    : 'pg_control was lost and was made up from the names of the files: what was written in its last minutes may be missing, or there by half';
}

async function guesses(dataDir: string): Promise<string[]> {
  const after = async (directory: keyof typeof perSegment): Promise<bigint> => {
    const names = (await namesIn(join(dataDir, directory))).filter((name) => /^[0-9A-F]{4,}$/.test(name)).sort();
    return names.length === 0 ? 0n : (BigInt(`0x${names.at(-1)!}`) + 1n) * perSegment[directory];
  };
  const [transaction, multi, member] = [await after('pg_xact'), await after('pg_multixact/offsets'), await after('pg_multixact/members')];
  return [
    '-x',
    String(transaction > 0n ? transaction : NOBODY_KNOWS),
    ...(multi > 0n ? ['-m', `${multi},1`] : []),
    ...(member > 0n ? ['-O', String(member)] : []),
    '-o', // No object may be given a number that one has already.
    '2000000000',
  ];
}

/** True if its pages bear checksums, which a control file that is made up says they do not: then damage would be read as rows. */
async function bearsChecksums(dataDir: string): Promise<boolean> {
  const template = join(dataDir, 'base', '1');
  for (const name of (await namesIn(template)).filter((entry) => /^\d+$/.test(entry))) {
    const page = await readFile(join(template, name));
    if (page.length > 0 && !isZero(page.subarray(0, 24))) return page.readUInt16LE(8) !== 0; // pd_checksum
  }
  return false;
}

async function rememberChecksums(control: string): Promise<void> {
  const bytes = await readFile(control);
  await writeFile(control, withChecksums(bytes));
}
