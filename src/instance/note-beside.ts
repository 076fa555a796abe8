import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Identity, System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlainText } from '../machine/plain-file.ts';
import type { Volume } from './volume.ts';

interface Place {
  readonly volume: Pick<Volume, 'dataDir'>;
  readonly owner: Identity;
  readonly system: Pick<System, 'files'>;
}

/** A small thing that is to be known by the next start, whoever is killed before: `<PGDATA>/.dbkit/<name>.json`, which travels with the data. */
export interface NoteBeside<T> {
  /** Durable when it resolves. Rejects where it cannot be written. */
  write(place: Place, note: T): Promise<void>;
  /** 'garbled': somebody had written one. Undefined where there is none that can be read. */
  read(dataDir: string): Promise<T | 'garbled' | undefined>;
  forget(dataDir: string): Promise<void>;
}

/** `name` is a contract, and the schema's name with a version: `dbkit.<name>/v1`. */
export function noteBeside<const Entries extends v.ObjectEntries>(
  name: string,
  entries: Entries,
): NoteBeside<v.InferOutput<v.ObjectSchema<Entries, undefined>>> {
  const schema = v.object(entries);
  const version = `dbkit.${name}/v1`;
  const pathIn = (dataDir: string): string => join(dataDir, '.dbkit', `${name}.json`);
  return {
    write: ({ volume, owner, system }, note) =>
      system.files.write(pathIn(volume.dataDir), `${JSON.stringify({ schema: version, ...note })}\n`, { mode: 0o600, owner }),
    async read(dataDir) {
      const text = await readPlainText(pathIn(dataDir)).catch(unlessOwnTrouble);
      if (text === undefined) return undefined;
      try {
        const json = JSON.parse(text) as { schema?: unknown };
        return json.schema === version ? v.parse(schema, json) : 'garbled';
      } catch {
        return 'garbled';
      }
    },
    forget: (dataDir) => rm(pathIn(dataDir), { force: true }),
  };
}
