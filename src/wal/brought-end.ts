import * as v from 'valibot';
import { formatLsn, type Lsn, parseLsn } from '../formats/wal-segment.ts';
import type { Local } from '../instance/local.ts';
import { noteBeside } from '../instance/note-beside.ts';

const lsn = v.pipe(v.string(), v.regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/));
const note = noteBeside('wal-brought', { systemIdentifier: v.string(), endLsn: lsn });

/** The end of WAL that the archive had and pg_wal lacked: the server may have come further. It counts until a server serves, whoever is killed before. */
export interface BroughtEnd {
  readonly systemIdentifier: string;
  readonly end: Lsn;
}

/** Written before the first segment is brought. */
export const noteEnd = (local: Pick<Local, 'volume' | 'owner' | 'system'>, { systemIdentifier, end }: BroughtEnd): Promise<void> =>
  note.write(local, { systemIdentifier, endLsn: formatLsn(end) });

/** Undefined where none was brought, or to other data. */
export async function readEnd(dataDir: string, systemIdentifier: string): Promise<Lsn | undefined> {
  const brought = await note.read(dataDir);
  if (brought === 'garbled') return 0n; // Somebody had written it: then not even that is known.
  return brought?.systemIdentifier === systemIdentifier ? parseLsn(brought.endLsn) : undefined;
}

/** It has been told. */
export const forgetEnd = note.forget;
