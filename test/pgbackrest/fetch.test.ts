import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { restoreCommand } from '../../src/pgbackrest/archive.ts';
import { placesIn } from '../../src/pgbackrest/render.ts';

test('a repository that does not answer is asked again, each time with a word, and ends the recovery then; an answer is passed on', () => {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const fetched = (...statuses: number[]) => {
    writeFileSync(join(root, 'left'), statuses.join('\n'));
    const script = `s=$(head -n 1 ${root}/left); sed -i 1d ${root}/left; exit $s`;
    const given = { program: join(root, 'pgbackrest'), places: placesIn(root), stanza: 'main' };
    writeFileSync(given.program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const command = restoreCommand(given, join(root, 'f')).replaceAll('%f', 'SEGMENT').replaceAll('%p', 'path').replaceAll('sleep 2', ':');
    const { status, stderr } = spawnSync('/bin/sh', ['-c', command], { encoding: 'utf8' });
    return { status, said: stderr.trim().split('\n').filter(Boolean) };
  };
  expect(fetched(0)).toEqual({ status: 0, said: [] });
  expect(fetched(1)).toEqual({ status: 1, said: [] });
  expect(fetched(103, 82, 0)).toEqual({
    status: 0,
    said: [1, 2].map((n) => `dbkit: the repository of pgBackRest does not give SEGMENT (status ${n === 1 ? 103 : 82}), attempt ${n} of 6`),
  });
  const over = fetched(...Array.from({ length: 6 }, () => 103), 0);
  expect(over.status).toBe(126);
  expect(over.said).toHaveLength(6);
});
