import { expect, test } from 'vitest';
import { createStyle } from '../../src/cli/output/style.ts';
import { expireView, statusView } from '../../src/cli/wal.ts';
import type { WalStatus } from '../../src/wal/status.ts';

const style = await createStyle(false);
const LABEL = 'data_20260101_000000';
const dir = '/backup/wal/7000';
const why = `no WAL expires: the record of ${LABEL} cannot be read; look at /backup/${LABEL}.json (\`ls -l\`, \`dmesg\`)`;
const kept = { keep: true, reason: 'wal-of-unread-backup', because: 'x', storedBytes: 1, name: '000000010000000000000001' };

test('`wal expire` says which backup keeps the WAL because its record cannot be read', () => {
  expect(expireView({ dir, dryRun: false, decisions: [kept], unreadBackups: [LABEL] }, style)).toBe(
    `1 segment: nothing was removed\n\n${why}`,
  );
  expect(expireView({ dir, dryRun: false, decisions: [kept], unreadBackups: [] }, style)).toBe('1 segment: every one of them is needed');
});

test('`wal status` says it too', () => {
  const status = {
    ...{ dir, systemIdentifier: '7000', state: null, problem: null, guarded: false, synchronous: false, end: null, lag: null },
    ...{ timelines: [], gaps: [], storedBytes: 1, copies: [] },
    keptFor: [{ reason: 'wal-of-unread-backup', because: 'the record of a base backup cannot be read', segments: 1, storedBytes: 1 }],
  } satisfies Partial<WalStatus>;
  expect(statusView({ ...status, unreadBackups: [LABEL] }, style)).toContain(why);
  expect(statusView({ ...status, unreadBackups: [] }, style)).not.toContain('no WAL expires');
});
