import { readRecords, type WalRecord } from '../../../formats/wal-reader.ts';
import type { Lsn, WalIdentity } from '../../../formats/wal-segment.ts';
import type { Lineage } from '../../../wal/lineage.ts';
import { createCatalog, learnDirectory } from '../../../wal/moments/catalog.ts';
import type { Moment } from '../../../wal/moments/moment.ts';
import { createScanner } from '../../../wal/moments/scanner.ts';
import type { PointRequest } from './point.ts';
import { parseStatement, type Statement, stands } from './statement.ts';

/** A base backup as a beginning: its catalogs have the names, and a record begins at its start. */
export interface Beginning {
  readonly path: string;
  readonly start: Lsn;
  /** Transactions that were open when it began have ended before this, as a rule. */
  readonly stop: Lsn;
  readonly major: number;
}

/** Every moment from a backup's start up to a record that is too late, in the order of the WAL. Resolves to the end of what could be read. */
export async function momentsFrom(
  lineage: Lineage,
  identity: WalIdentity,
  { path, start, major }: Beginning,
  isTooLate: (record: WalRecord) => boolean,
  visit: (moment: Moment) => void,
  signal: AbortSignal,
): Promise<Lsn> {
  const catalog = createCatalog(major);
  await learnDirectory(catalog, path, signal);
  const scan = createScanner(catalog, major);
  const { end } = await readRecords(lineage.bytes, identity, start, signal, (record) => {
    if (isTooLate(record)) return false;
    const moment = scan(record);
    if (moment) visit(moment);
    return true;
  });
  return end;
}

/**
 * All moments that a name, a transaction's number or a statement means, from the newest backup on, else from the one before it, and so on:
 * for a statement and a transaction the newest is meant, and names are looked for everywhere.
 */
export async function searchMoments(
  lineage: Lineage,
  identity: WalIdentity,
  beginnings: readonly Beginning[],
  request: PointRequest,
  signal: AbortSignal,
): Promise<readonly Moment[]> {
  const statement = request.to === 'before' ? parseStatement(request.value) : undefined;
  const found: Moment[] = [];
  let until: Lsn | undefined;
  for (const beginning of beginnings) {
    const here: Moment[] = [];
    const visit = (moment: Moment): void => void (means(request, statement, moment) && here.push(moment));
    const stop = until;
    await momentsFrom(lineage, identity, beginning, ({ lsn }) => stop !== undefined && lsn >= stop, visit, signal);
    const known = new Set(found.map(({ lsn }) => lsn));
    found.unshift(...here.filter(({ lsn }) => !known.has(lsn)));
    until = beginning.stop;
    if (found.length > 0 && request.to !== 'name') break;
  }
  return found;
}

function means({ to, value }: PointRequest, statement: Statement | undefined, moment: Moment): boolean {
  if (to === 'name') return moment.kind === 'restore-point' && moment.name === value;
  if (moment.kind !== 'commit' && moment.kind !== 'abort') return false;
  if (to === 'xid') return moment.xid === Number(value) || moment.subtransactions.includes(Number(value));
  return statement !== undefined && moment.destruction !== undefined && stands(statement, moment.destruction);
}
