import { expect, test } from 'vitest';
import {
  type DirectoryFacts,
  type DirectoryRule,
  directoryRules,
  judgeDirectory,
  judgeVolume,
  type VolumeFacts,
  type VolumeRule,
  volumeRules,
} from '../../src/instance/guard/refusals.ts';
import { decide, fill } from '../../src/kernel/reasons.ts';
import { everyRow } from '../harness/every-row.ts';

const figures = { dataDir: '/data', count: 1, names: 'a', freeKib: 1 };
const empty: DirectoryFacts = { kind: 'directory', entries: [], isBeingReplaced: false };
everyRow<DirectoryRule, DirectoryFacts>(
  'the data directory',
  (facts) => {
    const { id, words } = decide(directoryRules, facts);
    return { id, words: fill(words, figures) };
  },
  {
    'not-a-directory': { ...empty, kind: 'other' },
    'being-replaced': { ...empty, isBeingReplaced: true, entries: ['notes.txt'] },
    'member-of-patroni': { ...empty, entries: ['PG_VERSION', 'patroni.dynamic.json'] },
    'empty-directory': empty,
    'a-cluster': { ...empty, entries: ['notes.txt', 'PG_VERSION'] },
    'files-of-somebody-else': { ...empty, entries: ['notes.txt'] },
  },
);

const roomy: VolumeFacts = { freeBytes: 1e9, freeFiles: 1_000 };
everyRow<VolumeRule, VolumeFacts>(
  'the volume',
  (facts) => {
    const { id, words } = decide(volumeRules, facts);
    return { id, words: fill(words, figures) };
  },
  {
    'no-space-left': { ...roomy, freeBytes: 1024 },
    'no-inodes-left': { ...roomy, freeFiles: 3 },
    'has-space': { ...roomy, freeFiles: undefined },
  },
);

test('a refusal names what is there', () => {
  expect(() => judgeDirectory('/data', { ...empty, entries: ['a', 'b', 'c', 'd'] })).toThrow(
    "/data holds 4 entries that are not PostgreSQL's (a, b, c, …)",
  );
  expect(() => judgeVolume('/data', { ...roomy, freeBytes: 2048 })).toThrow('the volume of /data is full (2 KiB free)');
  expect(() => judgeDirectory('/data', empty)).not.toThrow();
});
