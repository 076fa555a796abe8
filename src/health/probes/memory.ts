import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Files } from '../../kernel/machine.ts';

/** The memory of one probe from check to check: `<stateDir>/health-<name>.json`. A broken file is set aside; one that may not be written is let be. */
export interface Memory<T> {
  recall(): Promise<T | undefined>;
  /** Where this user may not write, the next check begins anew. */
  keep(value: T): Promise<void>;
}

interface Kept<T> {
  readonly name: string;
  readonly schema: v.GenericSchema<unknown, T>;
  readonly mode: number;
}

export function createMemory<T>(stateDir: string, { name, schema, mode }: Kept<T>, files: Files): Memory<T> {
  const path = join(stateDir, `health-${name}.json`);
  return {
    recall: () => files.readJson(path, (value) => v.parse(schema, value)).catch(() => undefined),
    keep: async (value) => {
      try {
        await mkdir(stateDir, { recursive: true });
        const owner = await stat(stateDir); // Root may look too, and must not keep the owner from it.
        await files.write(path, `${JSON.stringify(value)}\n`, { mode, owner });
      } catch {
        // A health check must not fail because it cannot remember: a full disk is just what it is to report.
      }
    },
  };
}
