import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { errnoOf, isDenied } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { type Finding, type FindingCode, findingCodes, type KnownDamage, outlivesPages } from './findings.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** As it is written down. */
export const knownDamageSchema: v.GenericSchema<unknown, KnownDamage> = v.object({
  code: v.custom<FindingCode>((code) => typeof code === 'string' && code in findingCodes),
  path: v.string(),
  evidence: v.string(),
  severity: v.picklist(['suspect', 'certain']),
  blocks: v.optional(v.array(count)),
  cut: v.optional(v.object({ fromBlock: count, toBlock: count, since: v.optional(v.string()) })),
  since: v.string(),
  database: v.optional(v.string()),
  relation: v.optional(v.string()),
  oid: v.optional(count),
  rows: v.optional(count),
  acceptedAt: v.optional(v.string()),
  undoneAt: v.optional(v.string()),
});
const memorySchema = v.object({
  schema: v.literal('dbkit.damage/v1'),
  systemIdentifier: v.string(),
  /** When it was written; absent in those of earlier versions. */
  at: v.optional(v.string()),
  entries: v.array(knownDamageSchema),
});

export type { KnownDamage };

/** A finding, or what was written down of it. */
export interface Told {
  readonly code: FindingCode;
  readonly path: string;
  readonly blocks?: readonly number[] | undefined;
}

export interface DamageMemory {
  /** Damage that is neither mended nor accepted. */
  open(systemIdentifier: string): Promise<readonly KnownDamage[]>;
  /** True for what a person has accepted, and what therefore is told no more. */
  isAccepted(systemIdentifier: string): Promise<(damage: Told) => boolean>;
  /** Adds what is new and keeps since when the rest is known; what a person has accepted stays accepted while its blocks are the same. */
  remember(systemIdentifier: string, entries: readonly KnownDamage[]): Promise<void>;
  /** Everything that was open, but for `entries` and what lies at `paths`, is mended. */
  settle(systemIdentifier: string, entries: readonly KnownDamage[], paths?: ReadonlySet<string>): Promise<void>;
  /** A person knows, and wants to hear no more; what was open until now. */
  accept(systemIdentifier: string): Promise<readonly KnownDamage[]>;
}

export interface MemoryPlaces {
  readonly dataDir: string;
  /** Undefined for data that was set aside: its memory lies beside it alone. */
  readonly stateDir: string | undefined;
}

/** In the state folder, and beside the data, where it survives the loss of that folder. A memory of another cluster says nothing; one that cannot be read now may hold damage. */
export function damageMemory({ dataDir, stateDir }: MemoryPlaces, { files, clock }: Pick<System, 'files' | 'clock'>): DamageMemory {
  const beside = join(dataDir, '.dbkit', 'damage.json');
  const places = stateDir === undefined ? [beside] : [join(stateDir, 'damage.json'), beside];
  /** With the owner of the folder: root may look at what another user starts next. */
  const put = async (path: string, body: string): Promise<void> => {
    const owner = await stat(stateDir === undefined || path === beside ? dataDir : stateDir);
    await files.makeDirectory(dirname(path), { mode: 0o700, owner });
    await files.write(path, body, { mode: 0o600, owner });
  };
  const read = async (systemIdentifier: string): Promise<readonly KnownDamage[]> => {
    let unread: unknown;
    let newest: v.InferOutput<typeof memorySchema> | undefined;
    for (const path of places) {
      const memory = await files
        .readJson(path, (value) => v.parse(memorySchema, value))
        .catch((cause: unknown) => {
          if (errnoOf(cause) !== 'ENOTDIR' && !isDenied(cause)) unread = cause; // Another user's says nothing to us.
          return undefined;
        });
      if (memory?.systemIdentifier === systemIdentifier && (newest === undefined || (memory.at ?? '') > (newest.at ?? ''))) newest = memory;
    }
    if (newest !== undefined) return newest.entries; // A state folder that was put back from an earlier day knows less than the data's own.
    if (unread !== undefined) throw unread;
    return [];
  };
  const write = async (systemIdentifier: string, entries: readonly KnownDamage[]): Promise<void> => {
    const body = `${JSON.stringify({ schema: 'dbkit.damage/v1', systemIdentifier, at: clock.now().toISOString(), entries }, null, 2)}\n`;
    const written = await Promise.allSettled(places.map((path) => put(path, body)));
    const [failure] = written.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    if (written.every(({ status }) => status === 'rejected')) throw failure; // One place is enough to remember.
  };
  const change = async (systemIdentifier: string, to: (entries: readonly KnownDamage[]) => readonly KnownDamage[]): Promise<void> => {
    const before = await read(systemIdentifier);
    const after = to(before);
    if (JSON.stringify(before) !== JSON.stringify(after)) await write(systemIdentifier, after);
  };
  return {
    open: async (systemIdentifier) => (await read(systemIdentifier)).filter(isOpen),
    async isAccepted(systemIdentifier) {
      const accepted = (await read(systemIdentifier)).filter((entry) => !isOpen(entry));
      const byPath = new Map(accepted.map((known) => [known.path, known] as const)); // One entry for a file.
      return ({ path, code, blocks }) => {
        const known = byPath.get(path);
        return known !== undefined && (blocks ? !hasMore({ blocks: [...blocks] }, known) : known.code === code);
      };
    },
    remember: (systemIdentifier, entries) => change(systemIdentifier, (before) => joined(before, entries)),
    settle: (systemIdentifier, entries, paths = new Set<string>()) =>
      change(systemIdentifier, (before) => {
        const named = new Set([...paths, ...entries.map(({ path }) => path)]);
        return joined(
          before.filter((known) => !isOpen(known) || named.has(known.path)),
          entries,
        );
      }),
    async accept(systemIdentifier) {
      const open = (await read(systemIdentifier)).filter(isOpen);
      const acceptedAt = clock.now().toISOString();
      await change(systemIdentifier, (before) => before.map((entry) => (isOpen(entry) ? { ...entry, acceptedAt } : entry)));
      return open;
    },
  };
}

const isOpen = ({ acceptedAt }: KnownDamage): boolean => acceptedAt === undefined;

/** Pure: what is known before and what is found now. One file is damaged once, under whatever code it was found. */
function joined(before: readonly KnownDamage[], found: readonly KnownDamage[]): readonly KnownDamage[] {
  const all = [...before];
  const places = new Map(all.map(({ path }, at) => [path, at] as const));
  for (const entry of found) {
    const at = places.get(entry.path) ?? all.length;
    const known = all[at];
    if (known === undefined) {
      places.set(entry.path, at);
      all.push(entry);
    } else if (isOpen(known) && known.severity === 'certain' && entry.severity === 'suspect')
      continue; // A doubt takes back no proof.
    else if (isOpen(known) || hasMore(entry, known) || isMore(entry, known)) {
      const cut = isCut(entry) ? entry.cut : (known.cut ?? entry.cut);
      all[at] = { ...known, ...entry, ...(cut ? { cut } : {}), since: known.since, acceptedAt: undefined };
    }
  }
  return all;
}

/** A person has accepted a doubt, or pages, and now the whole is damaged. */
const isMore = (entry: KnownDamage, known: KnownDamage): boolean =>
  entry.code !== known.code &&
  entry.severity === 'certain' &&
  (outlivesPages(known) || (known.blocks !== undefined && entry.blocks === undefined));

const isCut = ({ cut }: Pick<KnownDamage, 'cut'>): boolean => cut !== undefined && cut.fromBlock < cut.toBlock;

/** Of long lists only the beginning is known. */
const hasMore = ({ blocks = [] }: Pick<KnownDamage, 'blocks'>, { blocks: accepted = [] }: Pick<KnownDamage, 'blocks'>): boolean =>
  blocks.slice(0, BLOCKS_KEPT).some((block) => !accepted.includes(block));

const BLOCKS_KEPT = 1000;

/** A finding that nothing mended, as it is remembered. */
export const toKnownDamage = ({ code, path, evidence, severity, blocks, relation, rows }: Finding, since: string): KnownDamage => ({
  code,
  path,
  evidence,
  severity: severity === 'certain' ? 'certain' : 'suspect',
  since,
  ...(blocks ? { blocks: blocks.slice(0, BLOCKS_KEPT) } : {}),
  ...(relation ? { database: relation.database, relation: relation.name } : {}),
  ...(rows === undefined ? {} : { rows }),
});

/** Remembered damage as a finding of today: the server, or its pages, are asked again. */
export const toFinding = ({ code, path, evidence, blocks, database, relation, rows }: KnownDamage): Finding => ({
  code,
  path,
  evidence,
  severity: 'suspect',
  ...(blocks ? { blocks } : {}),
  ...(database !== undefined && relation !== undefined ? { relation: { database, name: relation } } : {}),
  ...(rows === undefined ? {} : { rows }),
});

/** Complaints of a server but for those that a person has accepted. */
export async function notAccepted<T extends Told>(
  places: MemoryPlaces,
  systemIdentifier: string,
  complaints: readonly T[],
  system: Pick<System, 'files' | 'clock'>,
): Promise<T[]> {
  if (complaints.length === 0) return [];
  const isAccepted = await damageMemory(places, system).isAccepted(systemIdentifier);
  return complaints.filter((finding) => !isAccepted(finding));
}

/** Damage that was found before and is neither mended nor accepted: the server, or its pages, are asked again. What is seen now counts first. */
export async function remembered(
  places: MemoryPlaces,
  systemIdentifier: string,
  seen: readonly Finding[],
  system: Pick<System, 'files' | 'clock'>,
): Promise<Finding[]> {
  const named = new Set(seen.map(({ path }) => path));
  const open = await damageMemory(places, system).open(systemIdentifier);
  return open.map(toFinding).filter(({ path }) => !named.has(path));
}
