import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { formatLsn, type Lsn, parseLsn } from '../formats/wal-segment.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlainText } from '../machine/plain-file.ts';

const schema = v.object({ schema: v.literal('dbkit.wal-brought/v1'), systemIdentifier: v.string(), endLsn: v.string() });
const pathIn = (dataDir: string): string => join(dataDir, '.dbkit', 'wal-brought.json');

/** The end of WAL that the archive had and pg_wal lacked: the server may have come further. It counts until a server serves, whoever is killed before. */
export interface BroughtEnd {
  readonly systemIdentifier: string;
  readonly end: Lsn;
}

/** Written before the first segment is brought. */
export const noteEnd = (
  {
    volume: { dataDir },
    owner,
    system,
  }: { readonly volume: { readonly dataDir: string }; readonly owner: Identity; readonly system: System },
  { systemIdentifier, end }: BroughtEnd,
): Promise<void> => {
  const body = { schema: 'dbkit.wal-brought/v1', systemIdentifier, endLsn: formatLsn(end) };
  return system.files.write(pathIn(dataDir), `${JSON.stringify(body)}\n`, { mode: 0o600, owner });
};

/** Undefined where none was brought, or to other data. */
export async function readEnd(dataDir: string, systemIdentifier: string): Promise<Lsn | undefined> {
  const text = await readPlainText(pathIn(dataDir)).catch(unlessOwnTrouble);
  if (text === undefined) return undefined;
  try {
    const read = v.parse(schema, JSON.parse(text));
    return read.systemIdentifier === systemIdentifier ? parseLsn(read.endLsn) : undefined;
  } catch {
    return 0n; // Somebody had written it: then not even that is known.
  }
}

/** It has been told. */
export const forgetEnd = (dataDir: string): Promise<void> => rm(pathIn(dataDir), { force: true });
