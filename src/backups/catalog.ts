import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, wordsOf } from '../kernel/errors.ts';
import { makeLabel, momentAfter, parseLabel } from '../kernel/labels.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { namesIn } from '../machine/is-there.ts';
import { JSON_BYTES_MAX, parseJson } from './names.ts';
import { readHead } from './record-head.ts';
import { readRegular } from './regular-file.ts';

/** The fields of every record. */
export interface Recorded {
  readonly label: string;
}

/** How the records of one kind of backup are read. */
export interface RecordFormat<R extends Recorded, W extends R> {
  readonly kind: 'data' | 'dump';
  parse(value: unknown): W;
  /** The last field, where it has a row for each file; and how a record without it is read. */
  readonly rows?: { readonly field: string; parseWithout(value: unknown): R } | undefined;
}

/**
 * The records of one kind of backup: what there is, and what is known of it. A record is the last thing of a backup that is written. `R` is a
 * record without the rows of its files, `W` one with them.
 */
export interface Catalog<R extends Recorded, W extends R> {
  /** With a record, oldest first. */
  labels(): Promise<readonly string[]>;
  /** Undefined when there is none, or it cannot be read, which is told. */
  read(label: string): Promise<R | undefined>;
  readWhole(label: string): Promise<W | undefined>;
  write(record: W): Promise<void>;
  /** Beside the others, not yet one of them. */
  prepare(record: W): Promise<void>;
  publish(label: string): Promise<void>;
  /** Takes it off the list. */
  retract(label: string): Promise<void>;
  discard(label: string): Promise<void>;
  /** Prepared and never published. */
  prepared(): Promise<readonly string[]>;
  /** Records whose writing was cut short before its rename. */
  clearUnfinished(): Promise<void>;
  /** A label that sorts behind every other one there is. */
  freeLabel(): Promise<string>;
}

/** Records as files beside the backups. */
export function openCatalog<R extends Recorded, W extends R>(
  { kind, parse, rows }: RecordFormat<R, W>,
  { backupDir, partial }: { readonly backupDir: string; readonly partial: string },
  owner: Identity | undefined,
  { files, log, clock }: System,
): Catalog<R, W> {
  const isOurs = (name: string): boolean => parseLabel(name)?.kind === kind;
  const isUnfinished = (name: string): boolean => /\.json\..*tmp$/.test(name) && isOurs(name.replace(/\.json\..*$/, ''));
  const labelsIn = async (directory: string): Promise<string[]> =>
    (await namesIn(directory)).flatMap((name) => (name.endsWith('.json') && isOurs(name.slice(0, -5)) ? name.slice(0, -5) : [])).sort();
  const recordOf = (label: string): string => join(backupDir, `${label}.json`);
  const preparedOf = (label: string): string => join(partial, `${label}.json`);
  const write = (path: string, record: W): Promise<void> => files.write(path, `${JSON.stringify(record)}\n`, { mode: 0o600, owner });
  const whole = async (label: string): Promise<W> =>
    parse(parseJson(await readRegular(recordOf(label), JSON_BYTES_MAX), `the record of ${label}`));
  const told = async <T extends Recorded>(label: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      const record = await read();
      if (record.label === label) return record;
      log.warn('backup.incomplete', `The record of ${label} is that of ${record.label}, so it is ignored.`, { label });
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined; // Expired while we were listing.
      const reason = wordsOf(cause);
      log.warn('backup.record-broken', `The record of ${label} cannot be read, so this backup is ignored.`, { label, reason });
    }
    return undefined;
  };

  return {
    labels: () => labelsIn(backupDir),
    read: (label) =>
      told(label, async () => {
        const head = rows && (await readHead(recordOf(label), rows.field));
        return head && rows ? rows.parseWithout(parseJson(head, `the record of ${label}`)) : whole(label);
      }),
    readWhole: (label) => told(label, () => whole(label)),
    write: (record) => write(recordOf(record.label), record),
    prepare: (record) => write(preparedOf(record.label), record),
    publish: (label) => files.rename(preparedOf(label), recordOf(label)),
    async retract(label) {
      await rename(recordOf(label), preparedOf(label));
      await files.syncDirectory(backupDir);
    },
    discard: (label) => rm(preparedOf(label), { force: true }),
    prepared: () => labelsIn(partial),
    async clearUnfinished() {
      for (const directory of [backupDir, partial])
        for (const name of (await namesIn(directory)).filter(isUnfinished)) await rm(join(directory, name), { force: true });
    },
    async freeLabel() {
      // What a killed run has left in `partial` bears a label too, and its name must not come twice.
      const names = [...(await namesIn(backupDir)), ...(await namesIn(partial))];
      const taken = names.map((name) => name.replace(/\..*$/, '')).filter(isOurs);
      return makeLabel(kind, momentAfter(taken, clock.now()));
    },
  };
}
