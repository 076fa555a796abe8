import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { PostgresqlOptions } from '../../src/boot/hold.ts';
import type { Keeper } from '../../src/boot/keeper.ts';
import { prepareOlder } from '../../src/supervisor/prepare-upgraded.ts';

async function told(settings: { readonly version?: number; readonly binDir?: string }): Promise<string[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'dbkit-older-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  await writeFile(join(dataDir, 'PG_VERSION'), '15\n');
  const said: string[] = [];
  const system = { log: { info: (_event: string, words: string) => said.push(words) } };
  const options = { config: { postgresql: { dataDir, ...settings } }, system } as unknown as PostgresqlOptions;
  const keeper = { prepare: async () => void said.push('prepared') } as unknown as Keeper;
  await prepareOlder(options, keeper)(new AbortController().signal);
  return said;
}

test('data of an older major than the configured one is served by its own programs, and the way to the newer one is said', async () => {
  expect(await told({ version: 17 })).toEqual(['prepared', expect.stringMatching(/^PostgreSQL 15 serves.* 17: `dbkit upgrade --dry-run`/)]);
  expect(await told({ version: 15 })).toEqual(['prepared']);
  expect(await told({})).toEqual(['prepared']);
  expect(await told({ version: 17, binDir: '/usr/lib/postgresql/15/bin' }), 'that folder is what counts').toEqual(['prepared']);
});
