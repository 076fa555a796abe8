import { expect, test } from 'vitest';
import type { Turn } from '../../src/backups/carrier.ts';
import { type DrillTurnFacts, decideDrillTurn, drillTurn, type drillTurnRows } from '../../src/cluster/drill-turn.ts';
import { everyRow } from '../harness/every-row.ts';

const here: Turn = { member: 'n3', isHere: true, reason: 'carrier-replica', because: 'n3 follows closely' };
const facts = (turn: Turn | null): DrillTurnFacts => ({ turn, because: turn?.because ?? '' });

everyRow<(typeof drillTurnRows)[number]['id'], DrillTurnFacts>('who rehearses a restore', decideDrillTurn, {
  'drill-no-cluster': facts(null),
  'drill-nobody-leads': facts({ ...here, reason: 'carrier-unknown' }),
  'drill-carrier': facts(here),
  'drill-elsewhere': facts({ ...here, isHere: false }),
});

test.each<[string, Turn | null, object]>([
  ['a server of its own rehearses', null, { isHere: true, member: null }],
  [
    'whoever takes the backups rehearses, and says why',
    here,
    { isHere: true, member: 'n3', because: expect.stringContaining('n3 follows') },
  ],
  ['another leaves it to that member', { ...here, isHere: false }, { isHere: false, member: 'n3' }],
  ['a cluster without a leader is left alone, on every member', { ...here, reason: 'carrier-unknown' }, { isHere: false, member: null }],
])('%s', async (_what, turn, expected) => {
  expect(await drillTurn({ carrier: { turn: async () => turn } }, new AbortController().signal)).toMatchObject(expected);
});
