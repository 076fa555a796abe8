import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Handles, Hold } from '../../src/boot/hold.ts';
import { type Settling, settle } from '../../src/boot/settle.ts';
import { DbkitError } from '../../src/kernel/errors.ts';

test('a new cluster that does not become durable fails its start by one rejection, which somebody hears', async () => {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-settle-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const initializing = join(root, 'dbkit.initializing');
  await writeFile(initializing, '{}');
  const unheard: unknown[] = [];
  const listen = (cause: unknown): void => void unheard.push(cause);
  process.on('unhandledRejection', listen);
  onTestFinished(() => void process.off('unhandledRejection', listen));
  const runner = {
    attempt: async () => ({ exitCode: 1, stdout: '', stderr: '' }),
    run: () => Promise.reject(new DbkitError('volume.failing', 'initdb --sync-only: Input/output error')),
  };
  const clock = { sleep: () => new Promise((resolve) => setImmediate(resolve)) };
  const local = {
    settings: { port: 1, superuser: 'postgres', username: 'app', socketDir: join(root, 'nobody') },
    system: { runner, clock, reached: () => undefined, log: { info: () => undefined, warn: () => undefined } },
    volume: { dataDir: root, initializing },
    binaries: { major: 17, directory: root },
  };
  const child = { exited: new Promise((resolve) => setImmediate(resolve)), kill: () => undefined };
  const settling = { isEnsured: false, damage: [], options: {} } as unknown as Settling;
  const started = settle(
    { local } as unknown as Hold,
    {} as Handles,
    { child, standby: false } as never,
    settling,
    new AbortController().signal,
  );
  await expect(started).rejects.toThrow(DbkitError);
  await new Promise((resolve) => setImmediate(resolve));
  expect(unheard, 'one that nobody hears ends the process, and the server with it').toEqual([]);
});
