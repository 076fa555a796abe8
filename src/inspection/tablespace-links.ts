import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { ControlFile } from '../formats/control-file.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import { readControl } from './state.ts';
import type { Walk } from './walk.ts';

/** Where each tablespace's link leads: a copy without links, or a tool that clears them, loses that and nothing else. It travels with the data. */
const schema = v.object({
  schema: v.literal('dbkit.tablespaces/v1'),
  systemIdentifier: v.string(),
  /** The last checkpoint when the list was made. */
  checkpointLsn: v.string(),
  links: v.array(v.tuple([v.pipe(v.string(), v.regex(/^\d+$/)), v.pipe(v.string(), v.startsWith('/'))])),
});
type Known = v.InferOutput<typeof schema>;

const pathOf = (dataDir: string): string => join(dataDir, '.dbkit', 'tablespaces.json');

/** Called once a server is ready, and after a clean stop. */
export async function rememberTablespaces(dataDir: string, owner: Identity, { files }: System): Promise<void> {
  const read = readControl(dataDir);
  if (!('control' in read)) return;
  const links = readdirSync(join(dataDir, 'pg_tblspc'))
    .filter((oid) => /^\d+$/.test(oid) && lstatSync(join(dataDir, 'pg_tblspc', oid)).isSymbolicLink())
    .map((oid): [string, string] => [oid, readlinkSync(join(dataDir, 'pg_tblspc', oid))]);
  const { systemIdentifier, checkpointLsn } = read.control;
  const known: Known = { schema: 'dbkit.tablespaces/v1', systemIdentifier, checkpointLsn: formatLsn(checkpointLsn), links };
  if (links.length === 0 && readKnown(dataDir) === undefined) return;
  await files.write(pathOf(dataDir), `${JSON.stringify(known)}\n`, { mode: 0o600, owner });
}

function readKnown(dataDir: string): Known | undefined {
  try {
    return v.parse(schema, JSON.parse(readPlainSync(pathOf(dataDir)).toString()));
  } catch {
    return undefined; // None was made, or it cannot be read: then nobody knows.
  }
}

/** Where the link of a tablespace led; undefined where nobody knows. */
export const tablespaceHome = (dataDir: string, oid: string): string | undefined =>
  readKnown(dataDir)?.links.find(([known]) => known === oid)?.[1];

/**
 * Tablespaces whose link is gone. One that was dropped since the list was made has left no files behind; of one that has none where its link
 * led, only a list of this very shutdown can say that it is missed.
 */
export function inspectTablespaceLinks(dataDir: string, { entries }: Walk, control: ControlFile | undefined): Finding[] {
  const known = control && readKnown(dataDir);
  if (!known || known.systemIdentifier !== control.systemIdentifier) return [];
  const isCurrent = control.state === 'shut down' && known.checkpointLsn === formatLsn(control.checkpointLsn);
  return known.links.flatMap(([oid, home]): Finding[] => {
    const path = `pg_tblspc/${oid}`;
    if (entries.has(path)) return [];
    if (holdsFiles(join(home, `PG_${control.major}_${control.catalogVersion}`))) {
      const evidence = `its link to ${home} is gone, and its files are there`;
      return [{ code: 'tablespace.unlinked', path, evidence, severity: 'certain', postgresSays: `could not open directory "${path}` }];
    }
    const evidence = `its link is gone, and ${home}, where it led, does not hold its files: is the tablespace’s volume mounted?`;
    return isCurrent ? [{ code: 'tablespace.dangling', path, evidence, severity: 'certain' }] : [];
  });
}

function holdsFiles(directory: string): boolean {
  try {
    return readdirSync(directory).length > 0;
  } catch {
    return false;
  }
}
