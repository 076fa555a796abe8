import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { flipByte } from '../harness/breaking.ts';
import { offsetInSegment, segmentName } from '../harness/control-file.ts';
import { addRows, known } from '../harness/rows.ts';
import { disaster } from './disaster.ts';

const LATER = 10_001;
let lsn = 0n;

disaster({
  name: 'one bit flipped in the WAL after the last checkpoint, before a crash',
  section: 'C',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'those committed after that record',
  left: 'crashed',
  prepare: async (instance) => {
    await ask(instance, 'app', 'CHECKPOINT');
    await addRows(instance, LATER, 1);
    const [row] = await ask<{ at: string }>(instance, 'app', "SELECT (pg_current_wal_insert_lsn() - '0/0')::text AS at");
    lsn = BigInt(row!.at);
  },
  break: (instance) => flipByte(instance, `pg_wal/${segmentName(1, lsn)}`, offsetInSegment(lsn) + 40),
  expect: {
    finding: 'wal.gap',
    lost: /^what was committed after LSN .* up to /,
    rows: async (instance) => {
      expect(await askNumber(instance, 'app', `SELECT count(*) FROM ledger WHERE id <= ${known.ledger} OR id = ${LATER}`)).toBe(
        known.ledger + 1,
      );
    },
  },
});
