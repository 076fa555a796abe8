import { join } from 'node:path';
import * as v from 'valibot';
import type { CopySettings } from '../../config/copies-settings.ts';
import { parseLsn } from '../../formats/wal-segment.ts';
import type { Files } from '../../kernel/machine.ts';
import type { CopyOfWal } from '../../wal/status.ts';
import { fingerprintOf } from './notes.ts';

const time = v.pipe(v.string(), v.isoTimestamp());
const schema = v.looseObject({
  schema: v.literal('dbkit.copy-wal/v1'),
  place: v.string(),
  systemIdentifier: v.string(),
  timeline: v.nullable(v.number()),
  lsn: v.nullable(v.string()),
  at: v.nullable(time),
  failing: v.nullable(v.object({ since: time, message: v.string() })),
});

/** How far the WAL in a copy has come, by this machine that sends it: `<stateDir>/copies/<name>.wal.json`. */
export interface WalNotes {
  readonly systemIdentifier: string;
  /** All of the archive up to there is in the copy; null where nothing was ever sent. */
  readonly timeline: number | null;
  readonly lsn: string | null;
  /** All that the archive had at this moment is in the copy. */
  readonly at: string | null;
  /** Since when nothing can be sent; null while it works. */
  readonly failing: { readonly since: string; readonly message: string } | null;
}

const pathOf = (stateDir: string, name: string): string => join(stateDir, 'copies', `${name}.wal.json`);

/** Undefined where nothing was ever sent to that place. */
export async function readWalNotes(
  stateDir: string,
  name: string,
  settings: CopySettings,
  files: Pick<Files, 'readJson'>,
): Promise<WalNotes | undefined> {
  const read = await files.readJson(pathOf(stateDir, name), (value) => v.parse(schema, value));
  return read === undefined || read.place !== fingerprintOf(settings) ? undefined : read;
}

export async function writeWalNotes(
  { stateDir, name, settings }: { readonly stateDir: string; readonly name: string; readonly settings: CopySettings },
  notes: WalNotes,
  files: Pick<Files, 'publish' | 'ownDirectory'>,
): Promise<void> {
  await files.ownDirectory(join(stateDir, 'copies'), { mode: 0o700 });
  const body = { schema: 'dbkit.copy-wal/v1', place: fingerprintOf(settings), ...notes };
  await files.publish(pathOf(stateDir, name), `${JSON.stringify(body, null, 2)}\n`);
}

/** Every configured copy, as `wal status` judges it. What is known of another cluster's WAL says nothing of this one. */
export async function copiesOfWal(
  { copies, stateDir }: { readonly copies: Readonly<Record<string, CopySettings>>; readonly stateDir: string },
  systemIdentifier: string,
  files: Pick<Files, 'readJson'>,
): Promise<readonly CopyOfWal[]> {
  return Promise.all(
    Object.entries(copies).map(async ([name, settings]): Promise<CopyOfWal> => {
      const notes = await readWalNotes(stateDir, name, settings, files);
      const own = notes?.systemIdentifier === systemIdentifier ? notes : undefined;
      const { timeline = null, lsn = null, at = null, failing = null } = own ?? {};
      const end = timeline === null || lsn === null || at === null ? null : { timeline, lsn: parseLsn(lsn), at: new Date(at) };
      const isContinuous = settings.wal === 'always';
      return { name, isContinuous, isAwaited: settings.awaited, end, failing };
    }),
  );
}
