import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Files } from '../../kernel/machine.ts';

const text = v.pipe(v.string(), v.nonEmpty());
const ended = v.nullable(v.object({ xid: v.number(), lsn: text, atMicros: text }));

/** A restore of a whole cluster that has begun, so that it can be finished whatever happens to the one who began it. */
const journalSchema = v.object({
  schema: v.literal('dbkit.ha-restoring/v1'),
  /** When it was begun. */
  at: text,
  /** `down`: members are stopped, and their data set aside. `up`: the first one is made. `joining`: it leads, and the others follow. */
  phase: v.picklist(['down', 'up', 'joining']),
  /** As it was asked for, to tell another wish. */
  asked: v.string(),
  plan: v.object({
    label: text,
    createdAt: text,
    sizeBytes: v.number(),
    systemIdentifier: v.nullable(text),
    point: v.nullable(
      v.object({
        label: text,
        timeline: v.number(),
        stopBefore: v.nullable(text),
        needsUpTo: text,
        lastCommit: ended,
        nextCommit: ended,
        reason: text,
        because: text,
        otherTimelines: v.pipe(v.array(v.number()), v.readonly()),
        walBytes: v.number(),
      }),
    ),
  }),
  /** The member that is made first. */
  first: text,
  /** The settings that all members shared (`/config`); null: nobody knew them. */
  settings: v.nullable(v.record(v.string(), v.unknown())),
  /** Where the data of the first member went: its WAL is needed. */
  oldData: v.nullable(text),
  aside: v.array(v.object({ member: text, path: text, isWhole: v.boolean() })),
});

export type RestoreJournal = v.InferOutput<typeof journalSchema>;

export const journalIn = (folder: string): string => join(folder, 'restore.json');

/** undefined: none is unfinished. */
export const readJournal = (files: Pick<Files, 'readJson'>, folder: string): Promise<RestoreJournal | undefined> =>
  files.readJson(journalIn(folder), (value) => v.parse(journalSchema, value));

export const writeJournal = (files: Pick<Files, 'write'>, folder: string, journal: RestoreJournal): Promise<void> =>
  files.write(journalIn(folder), `${JSON.stringify(journal, null, 2)}\n`, { mode: 0o600 });

export const endJournal = (folder: string): Promise<void> => rm(journalIn(folder), { force: true });
