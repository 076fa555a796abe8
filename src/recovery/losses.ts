import { parseLsn } from '../formats/wal-segment.ts';
import type { FindingCode, RelationName } from '../inspection/findings.ts';

/** Where the bytes are that were replaced: a path, or null where none were kept or none are known. */
interface OldBytes {
  readonly oldBytes: string | null;
}

/** A file that the server runs without, as a finding tells it. `relation` where its name is known. */
interface Damaged extends OldBytes {
  readonly path: string;
  readonly evidence: string;
  readonly relation: RelationName | null;
}

/** One thing that is gone, or may be. The kinds and their fields are a contract (`recover --json`); fields are only ever added. */
export type Loss =
  /** Proven: every acknowledged row is there. It stands alone. */
  | { readonly kind: 'nothing' }
  /** Rows that were committed after a moment of the WAL, up to another one; null where that end is not known. Times are RFC 3339, LSNs as PostgreSQL prints them. */
  | ({
      readonly kind: 'window';
      readonly after: string | null;
      readonly afterLsn: string | null;
      readonly upTo: string | null;
      readonly upToLsn: string | null;
      /** The moment for people, with the reason why it is not a later one; absent where time and LSN say all. */
      readonly phrase?: string;
    } & OldBytes)
  /** Rows that were committed since a backup was taken at `at`. */
  | ({ readonly kind: 'since-backup'; readonly label: string; readonly at: string } & OldBytes)
  /** Every row, for now: a new cluster stands where the old one was. */
  | ({ readonly kind: 'cluster' } & OldBytes)
  | ({ readonly kind: 'database'; readonly database: string | null } & Damaged)
  | ({ readonly kind: 'table'; readonly rows: number | null } & Damaged)
  /** Pages of a relation, by block number within it; `rows` that they held, where a backup tells. */
  | ({ readonly kind: 'pages'; readonly blocks: readonly number[]; readonly rows: number | null } & Damaged)
  /** Any other file or directory that is damaged and was not mended. */
  | ({ readonly kind: 'file'; readonly code: FindingCode } & Damaged)
  | ({ readonly kind: 'slot'; readonly path: string } & OldBytes)
  /** How far subscriptions have come: what their publishers have not seen confirmed may be applied twice. */
  | ({ readonly kind: 'origins'; readonly path: string } & OldBytes)
  /** Settings, rules and the like that a restore took back to those of the backup, each in a few words. */
  | ({ readonly kind: 'settings'; readonly reverted: readonly string[] } & OldBytes)
  /** Definitions that an upgrade could not bring over as they were, each in a few words; every row is there. */
  | ({ readonly kind: 'objects'; readonly objects: readonly string[] } & OldBytes)
  /** The rows of unlogged tables, which crash recovery and a restore empty. */
  | ({ readonly kind: 'unlogged'; readonly tables: readonly RelationName[] } & OldBytes)
  /** Nothing proves that all is there. */
  | ({ readonly kind: 'unknown'; readonly reason: UnknownReason } & OldBytes)
  /** From a report of a version that knew words only. */
  | { readonly kind: 'recorded'; readonly words: string };

/** Why it cannot be said whether rows are missing. */
export const unknownReasons = {
  unproven: 'the pages could not be held against the backup and the WAL; each start tries again',
  'zero-pages': 'pages hold zeroes, and neither a backup nor the WAL says if something was there',
  touched: 'files were written to while no server ran, and neither a backup nor the WAL tells what they held',
  'not-asked': 'a database was not asked, as a session in it comes to no end, or crashes the server',
  copied:
    'the directory was copied without the times of its files, and neither a backup nor the WAL tells what all of them held. Where nothing else was done to it all is well; ' +
    'a backup (`dbkit backup create`) tells it the next time, and so does a copy that keeps times (`cp -a`)',
  'torn-tail': 'segments of WAL are cut or missing behind its end, and the mark is some seconds older than the crash',
  'no-mark': 'no mark tells how far the WAL had come',
  'no-state': 'the state folder is gone, and with it the inventory of the last clean stop, and the cluster has no checksums',
} as const;
export type UnknownReason = keyof typeof unknownReasons;

export const nothing = [{ kind: 'nothing' }] as const satisfies readonly Loss[];

/** The two fields of a report that tell the losses. None at all is `nothing`; of one file the last word counts, as it knows most. */
export function told(losses: readonly Loss[]): { readonly losses: readonly Loss[]; readonly lost: string } {
  const real = losses.filter(({ kind }) => kind !== 'nothing');
  const once = lastWords(oneWindow(real));
  return once.length === 0 ? { losses: nothing, lost: lostWords(nothing) } : { losses: once, lost: lostWords(once) };
}

type Window = Extract<Loss, { kind: 'window' }>;

/** Of one end of recovery the plan and the judgement tell a window each, as far as they know: it is one, from the earlier place to the later. */
function oneWindow(losses: readonly Loss[]): readonly Loss[] {
  const isBare = (loss: Loss): loss is Window & { afterLsn: string } =>
    loss.kind === 'window' && loss.phrase === undefined && loss.after === null && loss.afterLsn !== null;
  const windows = losses.filter(isBare);
  if (windows.length < 2) return losses;
  const isOpen = windows.some(({ upToLsn }) => upToLsn === null); // An end that nobody knows may be behind the known one.
  const ends = windows.flatMap(({ upToLsn }) => upToLsn ?? []).sort(byLsn);
  const times = windows.flatMap(({ upTo }) => upTo ?? []).sort();
  const joined: Window = {
    ...windows[0]!,
    afterLsn: windows.map(({ afterLsn }) => afterLsn).sort(byLsn)[0]!,
    upTo: isOpen ? null : (times.at(-1) ?? null),
    upToLsn: isOpen ? null : ends.at(-1)!,
  };
  return [joined, ...losses.filter((loss) => !isBare(loss))];
}

const byLsn = (a: string, b: string): number => Number(parseLsn(a) - parseLsn(b));

/** Of one file the last word counts; where the replaced bytes are is not forgotten for it. */
function lastWords(losses: readonly Loss[]): readonly Loss[] {
  const words = new Map<string, Loss>();
  for (const loss of losses) {
    const key = 'path' in loss ? loss.path : JSON.stringify(loss);
    const before = words.get(key);
    const oldBytes = before && 'oldBytes' in before ? before.oldBytes : null;
    words.set(key, 'oldBytes' in loss && loss.oldBytes === null ? { ...loss, oldBytes } : loss);
  }
  return [...words.values()];
}

/** 'unknown' only where nothing is known to be lost. */
export function howMuch(losses: readonly Loss[]): 'nothing' | 'unknown' | 'something' {
  if (losses.some(({ kind }) => kind !== 'nothing' && kind !== 'unknown')) return 'something';
  return losses.some(({ kind }) => kind === 'unknown') ? 'unknown' : 'nothing';
}

/** Does one of the losses' own words already name `path` as the place of the old bytes? */
export const tellsWhere = (losses: readonly Loss[], path: string): boolean =>
  losses.some((loss) => (loss.kind === 'window' || loss.kind === 'since-backup' || loss.kind === 'cluster') && loss.oldBytes === path);

const DAMAGED_SHOWN = 5;
type LossOf<Kind extends Loss['kind']> = Extract<Loss, { kind: Kind }>;
const damagedWords = ({ path, evidence }: Damaged): string => `${path} (${evidence})`;
const kept = ({ oldBytes }: OldBytes): string => (oldBytes === null ? '' : `; the replaced data is whole in ${oldBytes}`);
const end = (time: string | null, lsn: string | null): string => [time, lsn && `LSN ${lsn}`].filter(Boolean).join(', ');
const nameOf = ({ database, name }: RelationName): string => `${name} in database ${database}`;

const words: { readonly [Kind in Loss['kind']]: (loss: LossOf<Kind>) => string } = {
  nothing: () => 'nothing',
  window: (loss) => {
    if (loss.phrase !== undefined) return `what was committed after ${loss.phrase}${kept(loss)}`;
    const upTo = end(loss.upTo, loss.upToLsn);
    return `what was committed after ${end(loss.after, loss.afterLsn)}${upTo ? ` up to ${upTo}` : ''}${kept(loss)}`;
  },
  'since-backup': (loss) => `what was committed after ${loss.at} (the backup ${loss.label})${kept(loss)}`,
  cluster: ({ oldBytes }) => `all rows are out of reach for now${oldBytes === null ? '' : `: the old data is whole in ${oldBytes}`}`,
  database: damagedWords,
  table: damagedWords,
  pages: damagedWords,
  file: damagedWords,
  slot: ({ path }) => `replication slot ${path}`,
  origins: () =>
    'no rows, but the progress of the replication origins: a subscription may apply again what its publisher has not seen confirmed',
  settings: ({ reverted }) => `settings as they were before: ${reverted.join(', ')}`,
  objects: ({ objects, oldBytes }) =>
    `no rows, but these are not as they were: ${objects.join(', ')}${oldBytes === null ? '' : `; the old cluster is whole in ${oldBytes}`}`,
  unlogged: ({ tables }) => `the rows of unlogged tables: ${tables.map(nameOf).join(', ')}`,
  unknown: ({ reason }) => `not known: ${unknownReasons[reason]}`,
  recorded: (loss) => loss.words,
};

/** In one line: what is damaged together, then everything else. */
function lostWords(losses: readonly Loss[]): string {
  const wordsOf = <Kind extends Loss['kind']>(loss: LossOf<Kind>): string =>
    (words[loss.kind as Kind] as (one: LossOf<Kind>) => string)(loss);
  const damaged = losses.filter((loss) => 'evidence' in loss).map(wordsOf);
  const more = damaged.length > DAMAGED_SHOWN ? ` and ${damaged.length - DAMAGED_SHOWN} more` : '';
  const group = damaged.length > 0 ? [`damaged and not mended: ${damaged.slice(0, DAMAGED_SHOWN).join(', ')}${more}`] : [];
  return [...group, ...losses.filter((loss) => !('evidence' in loss)).map(wordsOf)].join('; ');
}
