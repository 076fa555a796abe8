import { expect, test } from 'vitest';
import type { LogEvent } from '../../src/kernel/machine.ts';
import { clock } from '../../src/machine/clock.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { createTrace } from '../../src/machine/trace.ts';

function told(wanted: string | undefined): readonly LogEvent[] {
  const events: LogEvent[] = [];
  let nowMs = 40.04;
  const trace = createTrace(wanted, {
    clock: { ...clock, monotonicMs: () => nowMs },
    log: createLogger('info', (event) => events.push(event)),
  });
  trace('program.loaded');
  nowMs = 52.5;
  trace('lock.held');
  return events;
}

test('DBKIT_TRACE=boot says when each moment came, and how long after the one before', () => {
  expect(told('boot').map(({ event, fields }) => [event, fields])).toEqual([
    ['boot.trace', { moment: 'program.loaded', sinceStartMs: 40, stepMs: 40 }],
    ['boot.trace', { moment: 'lock.held', sinceStartMs: 52.5, stepMs: 12.5 }],
  ]);
  expect(told('boot')[1]!.message).toMatch(/^\s+52\.5 ms {2}lock\.held \(\+12\.5\)$/);
});

test.each([undefined, '', 'everything'])('DBKIT_TRACE=%s says nothing', (wanted) => {
  expect(told(wanted)).toEqual([]);
});
