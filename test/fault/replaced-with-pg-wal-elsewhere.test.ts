import { readdirSync, readlinkSync } from 'node:fs';
import { rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { truncateTo } from '../harness/breaking.ts';
import { expectNewInstance } from '../harness/rows.ts';
import { disaster } from './disaster.ts';
import { quarantined } from './verdict.ts';

let walBefore: string[] = [];

disaster({
  name: 'pg_control is empty after a crash, and pg_wal is a link to another disk',
  section: 'D',
  detectedBefore: true,
  healedBy: 'reinitialize',
  rowsLost: 'all of them are in the quarantine, with their WAL',
  left: 'crashed',
  break: async (instance) => {
    await rename(join(instance.dataDir, 'pg_wal'), join(instance.root, 'wal-disk'));
    await symlink(join(instance.root, 'wal-disk'), join(instance.dataDir, 'pg_wal'));
    walBefore = readdirSync(join(instance.root, 'wal-disk')).filter((name) => /^[0-9A-F]{24}$/.test(name));
    await truncateTo(instance, 'global/pg_control', 0);
  },
  expect: {
    finding: 'control.damaged',
    quarantine: 'whole',
    lost: /the old data is whole in/,
    rows: async (instance) => {
      await expectNewInstance(instance);
      const [whole] = await quarantined(instance);
      expect(readdirSync(readlinkSync(join(whole!, 'pg_wal')))).toEqual(expect.arrayContaining(walBefore));
    },
  },
});
