import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import type { CopySettings } from '../../config/copies-settings.ts';
import type { Clock, Files } from '../../kernel/machine.ts';

const time = v.pipe(v.string(), v.isoTimestamp());
const noted = v.object({
  label: v.string(),
  createdAt: time,
  copiedAt: time,
  /** When every object that it needs had been read back and was what was written; null where that was never so. */
  verifiedAt: v.nullable(time),
  /** The defect that the last reading found. */
  problem: v.nullable(v.string()),
});
const schema = v.looseObject({
  schema: v.literal('dbkit.copy-notes/v1'),
  place: v.string(),
  backups: v.array(noted),
  /** Since when nothing could be copied; null while it works. */
  failing: v.nullable(v.object({ since: time, message: v.string() })),
  /** When a rotation of its keys began last. */
  rotatedAt: v.optional(v.nullable(time), null),
});

export type NotedBackup = v.InferOutput<typeof noted>;
/** This machine's knowledge of a copy, so that retention and health need not ask the place: `<stateDir>/copies/<name>.json`. */
export interface CopyNotes {
  readonly backups: readonly NotedBackup[];
  readonly failing: { readonly since: string; readonly message: string } | null;
  /** Whoever began before that writes for keys of before. */
  readonly rotatedAt?: string | null;
}

const none: CopyNotes = { backups: [], failing: null, rotatedAt: null };
const pathOf = (stateDir: string, name: string): string => join(stateDir, 'copies', `${name}.json`);

/** Another place under the same name is another copy, of which nothing is known. */
export function fingerprintOf(settings: CopySettings): string {
  const parts = settings.type === 'directory' ? [settings.path] : [settings.endpoint ?? '', settings.bucket, settings.prefix];
  return createHash('sha256')
    .update([settings.type, ...parts].join('\n'))
    .digest('hex')
    .slice(0, 16);
}

export async function readNotes(
  stateDir: string,
  name: string,
  settings: CopySettings,
  files: Pick<Files, 'readJson'>,
): Promise<CopyNotes> {
  const read = await files.readJson(pathOf(stateDir, name), (value) => v.parse(schema, value));
  return read === undefined || read.place !== fingerprintOf(settings)
    ? none
    : { backups: read.backups, failing: read.failing, rotatedAt: read.rotatedAt };
}

async function changeNotes(
  { stateDir, name, settings }: { readonly stateDir: string; readonly name: string; readonly settings: CopySettings },
  change: (notes: CopyNotes) => CopyNotes,
  files: Pick<Files, 'readJson' | 'write' | 'ownDirectory'>,
): Promise<void> {
  const notes = change(await readNotes(stateDir, name, settings, files));
  await files.ownDirectory(join(stateDir, 'copies'), { mode: 0o700 });
  const body = { schema: 'dbkit.copy-notes/v1', place: fingerprintOf(settings), ...notes };
  await files.write(pathOf(stateDir, name), `${JSON.stringify(body, null, 2)}\n`, { mode: 0o600 });
}

const withBackup = (notes: CopyNotes, backup: NotedBackup): CopyNotes => ({
  ...notes,
  backups: [...notes.backups.filter(({ label }) => label !== backup.label), backup].sort((a, b) => (a.label < b.label ? -1 : 1)),
});

/** Pure. */
export const isVerified = ({ backups }: CopyNotes, label: string): boolean =>
  backups.some((one) => one.label === label && one.verifiedAt !== null && one.problem === null);

/** The notes of one copy. One writer at a time: the caller holds the copy's lock. */
export function openNotes(
  where: { readonly stateDir: string; readonly name: string; readonly settings: CopySettings },
  { files, clock }: { readonly files: Pick<Files, 'readJson' | 'write' | 'ownDirectory'>; readonly clock: Pick<Clock, 'now'> },
) {
  const { stateDir, name, settings } = where;
  const change = (how: (notes: CopyNotes) => CopyNotes): Promise<void> => changeNotes(where, how, files);
  return {
    isVerified: async (label: string): Promise<boolean> => isVerified(await readNotes(stateDir, name, settings, files), label),
    add: (
      { label, createdAt }: Pick<NotedBackup, 'label' | 'createdAt'>,
      { copiedAt }: Pick<NotedBackup, 'copiedAt'>,
      verifiedAt: string | null,
      problem: string | null = null,
    ) => change((notes) => withBackup(notes, { label, createdAt, copiedAt, verifiedAt, problem })),
    rotates: () => change((notes) => ({ ...notes, rotatedAt: clock.now().toISOString() })),
    works: () => change((notes) => ({ ...notes, failing: null })),
    fails: (message: string) =>
      change((notes) => ({ ...notes, failing: { since: notes.failing?.since ?? clock.now().toISOString(), message } })),
  };
}

/** For a label: the names of the copies that must have it before it may expire here, and of which that is not known. */
export async function awaitedCopies(
  { copies, stateDir }: { readonly copies: Readonly<Record<string, CopySettings>>; readonly stateDir: string },
  files: Pick<Files, 'readJson'>,
): Promise<(label: string) => readonly string[]> {
  const known: [string, CopyNotes][] = [];
  for (const [name, settings] of Object.entries(copies))
    if (settings.awaited) known.push([name, await readNotes(stateDir, name, settings, files)]);
  return (label) => known.filter(([, notes]) => !isVerified(notes, label)).map(([name]) => name);
}
