import { expect, test } from 'vitest';
import { type PlaceFacts, type ScoreFacts, scoreOf, scoreRows } from '../../src/backups/offsite/score.ts';
import { fileSystemOf } from '../../src/instance/mounts.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { everyRow } from '../harness/every-row.ts';

const good: ScoreFacts = { copies: 3, media: 2, offHost: 1, isShared: false };

everyRow('the rule of 3-2-1', (facts: ScoreFacts) => decide(scoreRows, facts), {
  'repository-beside-the-data': { ...good, isShared: true },
  'fewer-than-three-copies': { ...good, copies: 2 },
  'fewer-than-two-media': { ...good, media: 1 },
  'no-copy-elsewhere': { ...good, offHost: 0 },
});

const place = (role: PlaceFacts['role'], medium: string | null, more: Partial<PlaceFacts> = {}): PlaceFacts => ({
  role,
  medium,
  offHost: false,
  holds: true,
  ...more,
});

test('a place that holds nothing counts for nothing, and one disk is one medium', () => {
  const data = place('data', 'a');
  const bucket = place('copy', 's3', { offHost: true });
  expect(scoreOf([data, place('repository', 'b'), bucket])).toEqual({ copies: 3, media: 3, offHost: 1, isShared: false });
  expect(scoreOf([data, place('repository', 'a'), bucket])).toEqual({ copies: 3, media: 2, offHost: 1, isShared: true });
  expect(scoreOf([data, place('repository', 'a'), { ...bucket, holds: false }])).toEqual({
    copies: 2,
    media: 1,
    offHost: 0,
    isShared: true,
  });
  expect(scoreOf([place('data', null, { holds: false }), place('repository', null, { holds: false })])).toMatchObject({
    copies: 0,
    isShared: false,
  });
});

test('the kind of file system around a path is read from the list of mounts', () => {
  const mountinfo = [
    '22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
    '40 22 0:50 / /mnt/nas\\040one rw shared:3 master:1 - nfs4 nas:/x rw',
    '41 22 0:51 / /mnt rw - tmpfs tmpfs rw',
  ].join('\n');
  expect(fileSystemOf(mountinfo, '/mnt/nas one/dbkit')).toBe('nfs4');
  expect(fileSystemOf(mountinfo, '/mnt/nas')).toBe('tmpfs');
  expect(fileSystemOf(mountinfo, '/var')).toBe('ext4');
  expect(fileSystemOf('', '/var')).toBeUndefined();
});
