import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseInfo } from '../../src/pgbackrest/info.ts';
import type { Rest, RestNeeds } from '../../src/pgbackrest/program.ts';
import { stageSet } from '../../src/pgbackrest/stage.ts';

const captured = readFileSync(new URL('info-2.45.json', import.meta.url), 'utf8');
const [backup] = parseInfo(captured, 'main').backups;

/** Stages a backup beside the data in `dataDir`, with a pgBackRest that only knows its backups. Resolves to what it was asked. */
async function staged(root: string): Promise<{ readonly asked: readonly string[]; readonly failure: unknown }> {
  const asked: string[] = [];
  const rest = {
    prepare: async () => ({ program: 'pgbackrest', version: { major: 2, minor: 45 }, stanza: 'main', places: {} }),
    run: async (command: string) => {
      asked.push(command);
      return captured;
    },
  } as unknown as Rest;
  const needs = { config: { postgresql: { dataDir: join(root, 'data') }, stateDir: root }, system: {} } as unknown as RestNeeds;
  const target = { directory: join(root, 'incoming') } as Parameters<typeof stageSet>[3];
  const failure = await stageSet(
    rest,
    needs,
    { label: backup!.label } as Parameters<typeof stageSet>[2],
    target,
    new AbortController().signal,
  ).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(existsSync(target.directory)).toBe(false);
  return { asked, failure };
}

async function place(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-stage-'));
  onTestFinished(() => rm(root, { recursive: true }));
  await mkdir(join(root, 'data', 'pg_tblspc'), { recursive: true });
  return root;
}

test('beside data with a tablespace pgBackRest restores nothing: it would write to where the server has it now', async () => {
  const root = await place();
  await symlink('/elsewhere', join(root, 'data', 'pg_tblspc', '16400'));
  const { asked, failure } = await staged(root);
  expect(failure).toMatchObject({ name: 'DbkitError' });
  expect(asked).toEqual(['info']);
});

test('where the tablespaces cannot be looked at there may be some, and nothing is restored either', async () => {
  const root = await place();
  await rm(join(root, 'data', 'pg_tblspc'), { recursive: true });
  await symlink('pg_tblspc', join(root, 'data', 'pg_tblspc')); // A link to itself: ELOOP.
  const { asked, failure } = await staged(root);
  expect(failure).toMatchObject({ code: 'ELOOP' });
  expect(asked).toEqual(['info']);
});
