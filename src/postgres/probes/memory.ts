import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Files } from '../../core/contracts.ts';

/** What one probe keeps from check to check: `<stateDir>/health-<name>.json`. A broken file is set aside; one that may not be written is let be. */
export interface Memory<T> {
  recall(): Promise<T | undefined>;
  /** False when this user may not write there: the next check then begins anew. */
  keep(value: T): Promise<boolean>;
}

export function createMemory<T>(stateDir: string, name: string, schema: v.GenericSchema<unknown, T>, files: Files): Memory<T> {
  const path = join(stateDir, `health-${name}.json`);
  return {
    recall: () => files.readJson(path, (value) => v.parse(schema, value)).catch(() => undefined),
    keep: async (value) => {
      try {
        await mkdir(stateDir, { recursive: true });
        await files.write(path, `${JSON.stringify(value)}\n`);
        return true;
      } catch {
        return false; // A health check must not fail because it cannot remember: a full disk is just what it is to report.
      }
    },
  };
}
