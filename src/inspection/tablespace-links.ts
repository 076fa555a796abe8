import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import type { ControlFile } from '../formats/control-file.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import { TABLESPACE } from './stand-ins.ts';
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
  const { systemIdentifier, checkpointLsn } = read.control;
  const before = readKnown(dataDir);
  const there = linksIn(dataDir);
  /** A link that somebody removed under the running server: DROP TABLESPACE removes the version's folder as well. */
  const isMissed = ([oid, home]: Link): boolean =>
    !there.some((link) => link[0] === oid || link[1] === home) && holdsFiles(join(home, versionFolder(read.control)));
  const links = [...there, ...(before?.systemIdentifier === systemIdentifier ? before.links.filter(isMissed) : [])];
  const known: Known = { schema: 'dbkit.tablespaces/v1', systemIdentifier, checkpointLsn: formatLsn(checkpointLsn), links };
  if (links.length === 0 && before === undefined) return;
  await files.write(pathOf(dataDir), `${JSON.stringify(known)}\n`, { mode: 0o600, owner });
}

type Link = Known['links'][number];

/** Those that are there. */
const linksIn = (dataDir: string): Link[] => readdirSync(join(dataDir, 'pg_tblspc')).flatMap((oid) => linkAt(dataDir, oid));

/** [its oid, where it leads]; none where there is no link of a tablespace. */
function linkAt(dataDir: string, oid: string): Link[] {
  const path = join(dataDir, 'pg_tblspc', oid);
  const isLink = /^\d+$/.test(oid) && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
  return isLink ? [[oid, readlinkSync(path)]] : [];
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
 * led, only a list of this very shutdown can say that it is missed, or what stands in its place.
 */
export function inspectTablespaceLinks(dataDir: string, { entries, standIns = [] }: Walk, control: ControlFile | undefined): Finding[] {
  if (!control) return [];
  const known = readKnown(dataDir);
  const isOfThis = known?.systemIdentifier === control.systemIdentifier;
  const isCurrent = isOfThis && control.state === 'shut down' && known.checkpointLsn === formatLsn(control.checkpointLsn);
  const links = isOfThis ? known.links : [];
  const oids = links.length > 0 ? [...entries.keys()].filter((path) => TABLESPACE.test(path)).map((path) => basename(path)) : [];
  const taken = new Set(oids.flatMap((oid) => linkAt(dataDir, oid)).map(([, home]) => home));
  const inPlace = new Map(standIns.flatMap(({ path, kind }) => (TABLESPACE.test(path) ? [[path, kind]] : [])));
  const gone = links.flatMap(([oid, home]): Finding[] => {
    const path = `pg_tblspc/${oid}`;
    if (entries.has(path)) return [];
    if (!taken.has(home) && holdsFiles(join(home, versionFolder(control)))) {
      const evidence = `its link to ${home} is gone, and its files are there`;
      return [{ code: 'tablespace.unlinked', path, evidence, severity: 'certain', postgresSays: `could not open directory "${path}` }];
    }
    const evidence = `its link is gone, and ${home}, where it led, does not hold its files: is the tablespace’s volume mounted?`;
    return isCurrent || inPlace.has(path) ? [{ code: 'tablespace.dangling', path, evidence, severity: 'certain' }] : [];
  });
  const nobodyKnows = [...inPlace].filter(([path, kind]) => kind !== 'directory' && !links.some(([oid]) => path === `pg_tblspc/${oid}`));
  return [
    ...gone,
    ...nobodyKnows.map(([path]): Finding => {
      const evidence = 'it is no link, and nobody knows where the tablespace’s link led';
      return { code: 'tablespace.dangling', path, evidence, severity: 'certain', postgresSays: `could not open directory "${path}` };
    }),
  ];
}

const versionFolder = ({ major, catalogVersion }: ControlFile): string => `PG_${major}_${catalogVersion}`;

function holdsFiles(directory: string): boolean {
  try {
    return readdirSync(directory).length > 0;
  } catch {
    return false;
  }
}
