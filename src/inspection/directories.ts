import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import { isOnlyRead, isOpenedAsFile, isPostgresqls } from '../instance/own-names.ts';
import { targetAt } from '../machine/is-there.ts';
import type { Finding } from './findings.ts';
import type { Entry, Walk } from './walk.ts';

/** Directories that are empty by nature, so that git, archives and sync tools lose them; without them the server does not start. */
const emptyByNature = [
  'pg_commit_ts',
  'pg_dynshmem',
  'pg_logical',
  'pg_logical/snapshots',
  'pg_logical/mappings',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_tblspc',
  'pg_twophase',
];
const withinWal = (major: number | undefined): string[] => [
  'pg_wal/archive_status',
  ...(major !== undefined && major >= 17 ? ['pg_wal/summaries'] : []),
];
const withData = ['base', 'global', 'pg_xact', 'pg_multixact/offsets', 'pg_multixact/members'];

/** Every directory that a server needs, parents first. */
export const requiredDirectories = (major: number): readonly { readonly path: string; readonly holdsData: boolean }[] => [
  ...withData.map((path) => ({ path, holdsData: true })),
  ...['pg_wal', ...emptyByNature, ...withinWal(major)].map((path) => ({ path, holdsData: path === 'pg_wal' })),
];

/** Throws where the system does not say that there is nothing: a mount that does not answer is no dangling link. */
const leadsSomewhere = (path: string): boolean => targetAt(path) !== undefined;

const isDirectory = (entry: Entry | undefined, dataDir: string): boolean =>
  entry?.kind === 'directory' || (entry?.kind === 'link' && leadsSomewhere(join(dataDir, entry.path)));

/** Directories that are missing: those that can simply be made again, and those that held data. */
export function inspectDirectories(dataDir: string, { entries }: Walk, major: number | undefined): Finding[] {
  const findings: Finding[] = [];
  const missing = (path: string): boolean => !isDirectory(entries.get(path), dataDir);
  const wal = entries.get('pg_wal');
  const isUnmounted = wal?.kind === 'link' && ![...entries.keys()].some((path) => /^pg_wal\/[0-9A-F]{24}$/.test(path));
  if (missing('pg_wal') || isUnmounted) {
    const says = 'required WAL directory "pg_wal" does not exist';
    findings.push(
      wal?.kind === 'link'
        ? {
            code: 'wal-link.dangling',
            path: 'pg_wal',
            evidence: 'there is no WAL where its link leads: is the WAL’s own volume mounted?',
            severity: 'certain',
            postgresSays: says,
          }
        : { code: 'wal-directory.missing', path: 'pg_wal', evidence: 'the directory is missing', severity: 'certain', postgresSays: says },
    );
  }
  for (const path of [...emptyByNature, ...(missing('pg_wal') ? [] : withinWal(major))].filter(missing)) {
    findings.push({
      code: 'directory.missing',
      path,
      evidence: 'the directory is missing',
      severity: 'certain',
      postgresSays: `could not open directory "${path}": No such file or directory`,
    });
  }
  for (const path of withData.filter(missing))
    findings.push({ code: 'directory.lost', path, evidence: 'the directory and everything in it is missing', severity: 'certain' });
  return findings;
}

/** Entries of pg_tblspc that are no tablespace: crash recovery reads every entry there as one, and ends at it (reinit.c). */
export function inspectTablespaceFolder({ entries }: Walk): Finding[] {
  const junk = [...entries.values()].filter(({ path }) => /^pg_tblspc\/[^/]*[^/\d][^/]*$/.test(path));
  return junk.map(({ path }) => ({
    code: 'tablespace.junk',
    path,
    evidence: 'it is no tablespace, and the server cannot recover from a crash beside it',
    severity: 'certain',
    postgresSays: `could not open directory "${path}`,
  }));
}

/** Tablespaces whose volume is not there: the link leads nowhere, or to an empty mount point without this version's directory. */
export function inspectTablespaces(dataDir: string, { entries }: Walk, control: ControlFile | undefined): Finding[] {
  const home = control && `PG_${control.major}_${control.catalogVersion}`;
  const links = [...entries.values()].filter(({ path, kind }) => kind === 'link' && /^pg_tblspc\/\d+$/.test(path));
  return links.flatMap(({ path }): Finding[] => {
    if (!leadsSomewhere(join(dataDir, path))) return [dangling(path, 'its link leads nowhere: is the tablespace’s volume mounted?')];
    const found = home === undefined ? undefined : entries.get(`${path}/${home}`);
    if (home === undefined || isDirectory(found, dataDir)) return [];
    const isPlace = targetAt(join(dataDir, path))?.isDirectory();
    const what = !isPlace
      ? 'its link leads to no directory'
      : found
        ? `${home}, where its link leads, is no directory`
        : `there is no ${home} where its link leads`;
    return [dangling(path, `${what}: is the tablespace’s volume mounted?`)];
  });
}

const dangling = (path: string, evidence: string): Finding => ({ code: 'tablespace.dangling', path, evidence, severity: 'certain' });

/** Its own files the server must own; configuration it must be able to read; all else is left as it is. */
const mustBelong = ({ path, mode }: Entry): boolean => isPostgresqls(path) || (isOnlyRead(path) && (mode & 0o044) === 0);

const isClosed = ({ path, kind, mode }: Entry): boolean => {
  const wanted = kind === 'file' ? 0o600 : kind === 'directory' ? 0o700 : 0;
  if ((mode & wanted) === wanted) return false; // Nearly every one of tens of thousands: their names need not be looked at.
  return isOnlyRead(path) ? kind === 'file' && (mode & 0o444) === 0 : isPostgresqls(path);
};

/** Entries that belong to somebody else and are not PostgreSQL's: a key of root's, notes. Named, and left as it is. */
export function inspectForeignEntries(root: { uid: number }, { entries }: Walk): Finding[] {
  const foreign = [...entries.values()].filter(
    ({ path, uid }) => uid !== root.uid && !path.includes('/') && !isPostgresqls(path) && !isOnlyRead(path),
  );
  return foreign.map(({ path, uid }) => ({
    code: 'entry.foreign',
    path,
    evidence: `it belongs to uid ${uid} and is not PostgreSQL’s: it is left as it is`,
    severity: 'info',
  }));
}

/** Pipes, sockets and devices where the server opens files: whoever opens one waits, so nothing else is looked at. */
export function inspectKinds({ entries }: Walk): Finding[] {
  const others = [...entries.values()].filter(({ path, kind }) => kind === 'other' && isOpenedAsFile(path));
  return others.map(({ path }) => ({
    code: 'entry.no-file',
    path,
    evidence: 'it is a pipe, a socket or a device, and no file',
    severity: 'certain',
  }));
}

/** PGDATA must be 0700 or 0750 and belong to one user, who is neither root nor somebody else. */
export function inspectPermissions(root: { uid: number; mode: number }, { entries, denied }: Walk, self: { uid: number }): Finding[] {
  const findings: Finding[] = [];
  const mode = root.mode & 0o777;
  if (root.uid === 0) {
    const evidence = 'it belongs to root, and root may not run PostgreSQL';
    findings.push({ code: 'owner.wrong', path: '.', evidence, severity: 'certain', postgresSays: 'data directory has wrong ownership' });
  }
  if (self.uid !== 0 && root.uid !== self.uid && root.uid !== 0) {
    findings.push({
      code: 'owner.wrong',
      path: '.',
      evidence: `it belongs to uid ${root.uid}, and dbkit runs as uid ${self.uid}`,
      severity: 'certain',
      postgresSays: 'data directory has wrong ownership',
    });
  }
  if (mode !== 0o700 && mode !== 0o750) {
    findings.push({
      code: 'mode.wrong',
      path: '.',
      evidence: `its mode is 0${mode.toString(8)}, expected 0700 or 0750`,
      severity: 'certain',
      postgresSays: 'data directory has invalid permissions',
    });
  }
  const foreign = [...entries.values()].filter(
    (entry) => entry.uid !== root.uid && entry.kind !== 'link' && !/^pg_tblspc\/\d+$/.test(entry.path) && mustBelong(entry),
  );
  if (foreign[0]) {
    const evidence = `${foreign.length} ${foreign.length === 1 ? 'entry belongs' : 'entries belong'} to another user, ${foreign[0].path} to uid ${foreign[0].uid}`;
    findings.push({ code: 'owner.wrong', path: foreign[0].path, evidence, severity: 'certain' });
  }
  const closed = [...entries.values()].filter(isClosed);
  if (closed[0])
    findings.push({
      code: 'mode.wrong',
      path: closed[0].path,
      evidence: `its mode is 0${closed[0].mode.toString(8)}, so its owner cannot use it`,
      severity: 'certain',
      postgresSays: `could not open file "${closed[0].path}": Permission denied`,
    });
  if (denied[0])
    findings.push({
      code: 'owner.wrong',
      path: denied[0],
      evidence: 'this user may not read it',
      severity: 'certain',
      postgresSays: 'Permission denied',
    });
  return findings;
}

/** How far the files may be looked at. One that this user may not read says nothing about the data: permissions come first, then everything is looked at again. */
export const mayBeRead = (findings: readonly Finding[], isRoot: boolean): { readonly isWhole: boolean; readonly readable: boolean } => {
  const isWhole = !findings.some(({ code }) => code === 'entry.no-file');
  return { isWhole, readable: isWhole && (isRoot || !findings.some(({ code, path }) => code === 'owner.wrong' || path !== '.')) };
};

const SLOT_MAGIC = 0x1051ca1; // src/backend/replication/slot.c

/** The state file of each replication slot; a damaged one makes the server panic at every start. */
export function inspectSlots(dataDir: string, { entries }: Walk): Finding[] {
  const slots = [...entries.values()].filter(
    ({ path, kind }) => kind === 'directory' && /^pg_replslot\/[^/]+$/.test(path) && !path.endsWith('.tmp'),
  );
  return slots.flatMap(({ path }): Finding[] => {
    const state = entries.get(`${path}/state`);
    const bytes = state?.kind === 'file' ? readFileSync(join(dataDir, state.path)) : undefined;
    if (bytes && bytes.length >= 16 && bytes.readUInt32LE(0) === SLOT_MAGIC && bytes.readUInt32LE(12) + 16 <= bytes.length) return [];
    const evidence = bytes === undefined ? 'its state file is missing' : `its state file holds ${bytes.length} bytes that are no slot`;
    return [
      {
        code: 'replication-slot.damaged',
        path,
        evidence,
        severity: 'certain',
        postgresSays: `replication slot file "${path}/state" has wrong magic number`,
      },
    ];
  });
}
