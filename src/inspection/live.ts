import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inspectConfiguration } from './configuration.ts';
import { inspectDirectories, inspectPermissions, inspectSlots, inspectTablespaces } from './directories.ts';
import type { Finding } from './findings.ts';
import { inspectVersionFiles } from './leftovers.ts';
import { databaseDirectories } from './relations.ts';
import { readControl } from './state.ts';
import { entryAt, type Walk, walk } from './walk.ts';

/** Relations come and go under a running server, and its temporary files are its own business. */
const wanted = (path: string): boolean =>
  !/^(base|global)\/\d/.test(path) && !/^(pgsql_tmp|pg_stat_tmp|pg_subtrans|pg_notify|pg_serial)\//.test(path);

/** The places to look at while the server runs: what it, or its next start, cannot do without. Milliseconds, however many relations. */
export function inspectLive(dataDir: string, signal: AbortSignal): Finding[] {
  const seen = withDatabases(dataDir, walk(dataDir, signal, wanted));
  const first = readControl(dataDir);
  const read = 'control' in first ? first : readControl(dataDir); // The server rewrites it in place: a torn read is read once more.
  const control = 'control' in read ? read.control : undefined;
  const root = statSync(dataDir);
  const homes = databaseDirectories(seen).filter((home) => home.startsWith('base/'));
  const unmapped = ['global', ...homes].filter((home) => !seen.entries.has(`${home}/pg_filenode.map`));
  return [
    ...('problem' in read
      ? [{ code: 'control.damaged', path: 'global/pg_control', evidence: read.problem, severity: 'certain' } as const]
      : []),
    ...unmapped.map(
      (home) =>
        ({ code: 'filenode-map.damaged', path: `${home}/pg_filenode.map`, evidence: 'the file is missing', severity: 'certain' }) as const,
    ),
    ...inspectPermissions({ uid: root.uid, mode: root.mode & 0o7777 }, seen, root), // Whoever asks need not own it.
    ...inspectDirectories(dataDir, seen, control?.major),
    ...inspectVersionFiles(dataDir, seen, homes, control),
    ...inspectConfiguration(dataDir, seen),
    ...inspectTablespaces(dataDir, seen, control),
    ...inspectSlots(dataDir, seen),
  ];
}

/** Of each database what it cannot be opened without, by name: its folder may hold ten thousands of others. */
function withDatabases(dataDir: string, { entries, denied }: Walk): Walk {
  const found = new Map(entries);
  const closed = [...denied];
  const databases = entries.has('base') ? readdirSync(join(dataDir, 'base')).filter((name) => /^\d+$/.test(name)) : [];
  for (const name of databases) {
    for (const path of [`base/${name}`, `base/${name}/PG_VERSION`, `base/${name}/pg_filenode.map`]) {
      const entry = entryAt(dataDir, path, closed);
      if (entry) found.set(path, entry);
    }
  }
  return { entries: found, denied: closed };
}
