import { expect, test } from 'vitest';
import { innermost, mountPoints } from '../../src/instance/mounts.ts';

const mountinfo = `36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw
61 36 0:52 / /var/lib/data rw - tmpfs tmpfs rw
62 61 0:53 / /var/lib/data/pg_wal rw - tmpfs tmpfs rw
63 61 8:1 /my.conf /var/lib/data/postgresql.conf ro - ext4 /dev/sda1 rw
64 61 8:1 /x /var/lib/data/with\\040blank rw - ext4 /dev/sda1 rw
65 61 8:1 /x /var/lib/data/pg_wal rw - ext4 /dev/sda1 rw
66 36 8:1 /y /var/lib/database rw - ext4 /dev/sda1 rw
`;

test('what is mounted below a directory, each place once, in its own letters', () => {
  expect(mountPoints(mountinfo, '/var/lib/data')).toEqual(['pg_wal', 'postgresql.conf', 'with blank']);
  expect(mountPoints(mountinfo, '/srv')).toEqual([]);
});

test('the mount that a path lies on is the innermost', () => {
  expect(innermost(mountinfo, '/var/lib/data/pg_wal')).toBe('/var/lib/data/pg_wal');
  expect(innermost(mountinfo, '/var/lib/data/base')).toBe('/var/lib/data');
  expect(innermost(mountinfo, '/var/lib/data2')).toBe('/');
  expect(innermost('', '/srv')).toBeUndefined();
});
