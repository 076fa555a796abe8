import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { Backup, BaseBackups } from '../../src/backups/backup.ts';
import { createBaseBackups } from '../../src/backups/base/base-backups.ts';
import type { System } from '../../src/kernel/machine.ts';
import { owner, run, type Scratch, scratch, startServer, type TestServer, testConfig, testSystem } from './copy-engine.fixture.ts';

/** Servers and a repository in a folder of each test's own. */
export interface Scene {
  /** What dbkit has logged in this test. */
  readonly events: string[];
  readonly servers: readonly TestServer[];
  within(...names: readonly string[]): string;
  start(...args: Parameters<typeof startServer>): Promise<TestServer>;
  /** The backups of a server in that repository. */
  baseFor(server: TestServer, more?: object, system?: System): Promise<BaseBackups>;
}

/** Call at the top of a file: the folder and the servers are gone after each test. */
export function openScene(): Scene {
  let place: Scratch;
  let events: string[];
  const servers: TestServer[] = [];
  beforeEach(() => {
    place = scratch();
    events = [];
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop('SIGQUIT')));
    place.remove();
  });
  const within = (...names: string[]): string => join(place.dir, ...names);
  return {
    get events() {
      return events;
    },
    servers,
    within,
    async start(...args) {
      const server = await startServer(...args);
      servers.push(server);
      return server;
    },
    async baseFor(server, more = {}, system) {
      const config = testConfig(server, within('repo'), more);
      return createBaseBackups({ config, system: system ?? (await testSystem(events)), dataDir: server.dataDir, owner });
    },
  };
}

/** Longer than the margin within which a changed file is not trusted. */
export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_500));

/** PostgreSQL's own word on the backup, where its program is installed. */
export function expectAccepted(binDir: string, { path }: Backup): void {
  const verifier = join(binDir, 'pg_verifybackup');
  if (existsSync(verifier)) expect(run(verifier, [path])).toContain('backup successfully verified');
}

export async function execute(server: TestServer, ...statements: readonly string[]): Promise<void> {
  const connection = await server.connect();
  for (const statement of statements) await connection.query(statement);
  await connection.end();
}
