import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import type { Loader } from './loader.ts';
import { type LoadOrder, orderToc, parseToc, type TocEntry } from './toc.ts';
import { asConnectionString, type DumpTools } from './tools.ts';

/** Entries that pg_restore could not bring back, by their number, with the server's words. */
export type Failures = ReadonlyMap<number, string>;

/**
 * The rights that an archive has: SQL of one that is known to be dbkit's own may run as the superuser where only a superuser may make a thing; a
 * stranger's never does, and what was withheld from it is noted.
 */
export interface Authority {
  readonly isTrusted: boolean;
  readonly withheld: string[];
  /** Roles that were made for it: they go again with a database that is not to stay. */
  readonly madeRoles: string[];
}
/** For an archive that dbkit has just made itself. */
export const ownArchive: Authority = { isTrusted: true, withheld: [], madeRoles: [] };
const WITHHELD = 'only a superuser may make it, and nobody knows who made this dump';

/** An archive of pg_dump's on its way into a database, entry by entry: what fails is told, and keeps nothing else away. */
export interface Archive {
  readonly order: LoadOrder;
  /** In their order. As the loader everything is the loader's; as the superuser it is its owner's, as the archive says. */
  run(entries: readonly TocEntry[], as: 'loader' | 'superuser'): Promise<Failures>;
  /** Entries of which none needs another, by several at once. */
  runTogether(entries: readonly TocEntry[], sizeOf: (entry: TocEntry) => number): Promise<Failures>;
}

interface Opening {
  readonly directory: string;
  readonly database: string;
  readonly tools: DumpTools;
  readonly loader: Loader;
  readonly withTablespaces: boolean;
  readonly jobs: number;
  readonly authority: Authority;
}

/** Opens an archive for as long as `work` takes; the lists of entries lie in a folder of the owner's meanwhile. */
export async function withArchive<T>(
  { directory, database, tools, loader, withTablespaces, jobs, authority }: Opening,
  { system, owner }: { readonly system: System; readonly owner: Identity | undefined },
  work: (archive: Archive) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-'));
  let lists = 0;
  const run: Archive['run'] = async (entries, as) => {
    if (entries.length === 0) return new Map();
    if (as === 'superuser' && !authority.isTrusted) return withhold(authority, entries);
    lists += 1;
    const list = join(folder, `list-${lists}`);
    await system.files.write(list, `${entries.map(({ line }) => line).join('\n')}\n`, { mode: 0o600, owner });
    // Only when it is verbose it names the entry that failed.
    const args = ['--verbose', '--no-password', `--use-list=${list}`, `--dbname=${asConnectionString(database)}`];
    if (as === 'loader') args.push('--no-owner');
    if (!withTablespaces) args.push('--no-tablespaces');
    const target = as === 'loader' ? await loader.target(database) : undefined;
    const { exitCode, stderr } = await tools.attempt('pg_restore', [...args, directory], signal, target);
    if (exitCode === 0) return new Map();
    const failed = parseFailures(stderr, new Set(entries.map(({ id }) => id)));
    if (failed.size > 0) return failed;
    throw new DbkitError('tool.failed', `pg_restore ended with status ${exitCode}`, {
      hint: `pg_restore said: ${stderr.trim().split('\n').slice(-5).join('\n')}`,
    });
  };
  try {
    if (owner) await chown(folder, owner.uid, owner.gid);
    const { stdout } = await tools.run('pg_restore', ['--list', directory], signal);
    return await work({
      order: orderToc(parseToc(stdout)),
      run,
      async runTogether(entries, sizeOf) {
        const shares = await Promise.all(deal(entries, sizeOf, jobs).map((share) => run(share, 'loader')));
        return new Map(shares.flatMap((share) => [...share]));
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Words about things are lost without harm; they are told like the rest. */
function withhold({ withheld }: Authority, entries: readonly TocEntry[]): Failures {
  withheld.push(...entries.flatMap(({ type, label }) => (type === 'COMMENT' ? [] : [`${type.toLowerCase()} ${label}`])));
  return new Map(entries.map(({ id }) => [id, WITHHELD]));
}

/** Pure. The largest first, each to whoever has least. */
export function deal<T>(entries: readonly T[], sizeOf: (entry: T) => number, among: number): T[][] {
  const shares = Array.from({ length: Math.min(among, entries.length) }, () => ({ size: 0, entries: [] as T[] }));
  for (const entry of [...entries].sort((a, b) => sizeOf(b) - sizeOf(a))) {
    const least = shares.reduce((one, other) => (other.size < one.size ? other : one));
    least.entries.push(entry);
    least.size += sizeOf(entry) + 1;
  }
  return shares.map((share) => share.entries);
}

/**
 * Pure. What pg_restore says of an entry that failed: `from TOC entry N; …`, then `error: …` (pg_backup_archiver.c, warn_or_exit_horribly). Only
 * numbers that were asked for count: names in these lines are anybody's.
 */
export function parseFailures(stderr: string, asked: ReadonlySet<number>): Map<number, string> {
  const failed = new Map<number, string>();
  for (const block of stderr.split(/^pg_restore: from TOC entry /m).slice(1)) {
    const id = Number.parseInt(block, 10);
    if (!asked.has(id)) continue;
    const words = /^pg_restore: error: (?:could not execute query: )?(?:ERROR: *)?(.*)$/m.exec(block)?.[1];
    failed.set(id, words ?? 'pg_restore says no more');
  }
  return failed;
}
