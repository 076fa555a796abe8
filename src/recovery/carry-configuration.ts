import { lstat, readdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { withoutRecoverySettings } from '../backups/base/recovery-setup.ts';
import { parseConf, parseHba, parseIdent } from '../formats/conf.ts';
import { parseControlFile } from '../formats/control-file.ts';
import { keptPath } from '../inspection/kept.ts';
import type { Local } from '../instance/local.ts';
import { isPostgresqls } from '../instance/own-names.ts';
import { clusterEntries } from '../instance/volume.ts';
import { unlessMissing } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { isThere } from '../machine/is-there.ts';
import { readPlain, readPlainText } from '../machine/plain-file.ts';
import { copyAll } from './copy-all.ts';
import type { Loss } from './losses.ts';

const ALTER_SYSTEM = 'postgresql.auto.conf';
const files = ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf', ALTER_SYSTEM] as const;
type ConfigurationFile = (typeof files)[number];
/** The lines of a restore's own recovery stand at the end. */
const OF_THE_RESTORE = /\n# dbkit restore: [\s\S]*$/;

/**
 * A restore for the sake of damaged data takes back data and nothing else: configuration that is sound today, or that was kept of the same
 * cluster, goes over into the staged cluster, and with it what is not PostgreSQL's (keys, included files, notes). Resolves to what does go
 * back to the backup's because no sound copy is left.
 */
export async function carryConfiguration(local: Local, staged: string): Promise<Loss[]> {
  const { dataDir } = local.volume;
  const reverted: string[] = [];
  for (const name of files) {
    const kept = (await isOfThisCluster(local, staged)) ? keptPath(local.stateDir, name) : undefined;
    const source = await firstSound(name, [join(dataDir, name), ...(kept === undefined ? [] : [kept])]);
    if (source === undefined) {
      if (await isThere(join(dataDir, name))) reverted.push(name); // It was there, and nobody can tell any more what it said.
    } else if (name === ALTER_SYSTEM) await carrySettings(local, source, join(staged, name));
    else await carryFile(local, source, join(staged, name));
  }
  await carryOthers(local, staged);
  return reverted.length > 0 ? [{ kind: 'settings', reverted, oldBytes: null }] : [];
}

async function firstSound(name: ConfigurationFile, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const text = await readPlainText(path).catch(unlessOwnTrouble);
    if (text !== undefined && isSound(name, text)) return path;
  }
  return undefined;
}

function isSound(name: ConfigurationFile, text: string): boolean {
  if (name === 'pg_ident.conf') return parseIdent(text).problems.length === 0 && !text.includes('\0');
  if (text.trim() === '') return false;
  if (name === 'pg_hba.conf') return parseHba(text).problems.length === 0 && parseHba(text).records > 0;
  return parseConf(text).problems.length === 0;
}

/** Copies that were kept say something of the cluster whose pg_control was kept with them. */
async function isOfThisCluster({ stateDir }: Local, staged: string): Promise<boolean> {
  const identifier = async (path: string): Promise<string | undefined> => {
    const bytes = await readPlain(path).catch(unlessOwnTrouble);
    const read = bytes && parseControlFile(bytes);
    return read && 'control' in read ? read.control.systemIdentifier : undefined;
  };
  const kept = await identifier(keptPath(stateDir, 'global/pg_control'));
  return kept !== undefined && kept === (await identifier(join(staged, 'global/pg_control')));
}

/** ALTER SYSTEM's settings of today, and below them what this very restore needs. */
async function carrySettings({ system, owner }: Local, source: string, target: string): Promise<void> {
  const today = withoutRecoverySettings(await readPlainText(source));
  const own = OF_THE_RESTORE.exec((await readPlainText(target).catch(unlessMissing)) ?? '')?.[0] ?? '';
  const text = `${today.trimEnd()}\n${own}`;
  await system.files.write(target, text, { mode: 0o600, owner });
}

/** A link to a place where configuration is managed stays a link. */
async function carryFile({ system, owner }: Local, source: string, target: string): Promise<void> {
  const entry = await lstat(source);
  if (entry.isSymbolicLink()) {
    await rm(target, { force: true });
    return symlink(await readlink(source), target);
  }
  await system.files.write(target, await readPlain(source), { mode: entry.mode & 0o777 || 0o600, owner });
}

/** An entry that is not PostgreSQL's, unless it cannot be read or holds a tablespace: owner, mode and times stay. */
async function carryOthers({ volume, system }: Local, staged: string): Promise<void> {
  const others = (await clusterEntries(volume.dataDir)).filter(
    (name) => !isPostgresqls(name) && !(files as readonly string[]).includes(name),
  );
  for (const name of others) {
    const from = join(volume.dataDir, name);
    if (await holdsTablespace(from)) continue;
    await rm(join(staged, name), { recursive: true, force: true });
    await copyAll(from, join(staged, name), system).catch((cause: unknown) =>
      system.log.warn('restore.not-carried', `${from} stays with the replaced data: it cannot be copied`, { why: String(cause) }),
    );
  }
}

const holdsTablespace = async (path: string): Promise<boolean> =>
  (await readdir(path).catch(() => [])).some((name) => /^PG_\d+_\d+$/.test(name));
