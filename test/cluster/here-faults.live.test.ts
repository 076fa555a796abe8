import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { hereFaults, type VictimHere, wakingWords } from '../../src/cluster/drill/here-faults.ts';
import { markOf, type ProcessMark, signalMarked } from '../../src/cluster/processes.ts';
import { until } from '../harness/processes.ts';

const never = new AbortController().signal;
const begun: ChildProcess[] = [];
afterEach(() => {
  for (const child of begun.splice(0)) child.kill('SIGKILL');
});

async function sleeper(): Promise<ProcessMark> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  begun.push(child);
  return (await markOf(child.pid!))!;
}
/** As if it had ended, and its pid were another program's by now. */
const another = (mark: ProcessMark): ProcessMark => ({ ...mark, startedTicks: '1' });
const stateOf = ({ pid }: ProcessMark): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)![0]!;
const becomes = (mark: ProcessMark, state: RegExp) =>
  until(
    () => state.test(stateOf(mark)),
    () => `it is ${stateOf(mark)}`,
    10_000,
  );

const told: string[] = [];
async function victim(over: Partial<VictimHere['leader']> & object, during: () => Promise<void>): Promise<VictimHere> {
  const [server, patroni, guard] = [await sleeper(), await sleeper(), await sleeper()];
  const spawnWaker = async ({ file, args }: { readonly file: string; readonly args: readonly string[] }) => {
    const { pid } = spawn(file, args, { stdio: 'ignore', detached: true });
    return { pid };
  };
  return {
    clock: { sleep: during } as unknown as VictimHere['clock'],
    spawn: spawnWaker as unknown as VictimHere['spawn'],
    log: { warn: (_topic: string, words: string) => void told.push(words) } as unknown as VictimHere['log'],
    ttlSeconds: 20,
    leader: { server, patroni, guard, maySignal: true, ...over },
    switchover: async () => undefined,
  };
}

test('a signal goes to the process that was marked, and to none that has its pid by now', async () => {
  const mark = await sleeper();
  expect(await signalMarked(another(mark), 'SIGSTOP')).toBe(false);
  expect(stateOf(mark)).not.toBe('T');
  expect(await signalMarked(mark, 'SIGSTOP')).toBe(true);
  await becomes(mark, /T/);
});

test.each(['postmaster', 'patroni-killed', 'patroni-hung', 'freeze'] as const)(
  '%s harms nothing where the process that was asked is another one by now',
  async (name) => {
    const [server, patroni, guard] = [await sleeper(), await sleeper(), await sleeper()];
    const over = { server: another(server), patroni: another(patroni), guard };
    const harmed = victim(over, async () => expect.unreachable('nothing stands still'));
    await expect(hereFaults[name]!(await harmed, never)).rejects.toMatchObject({ code: 'service.failed' });
    for (const mark of [server, patroni, guard]) await becomes(mark, /[SR]/);
  },
);

test('all that was frozen is woken, also where one of them is gone meanwhile', async () => {
  const seen: string[] = [];
  const harmed: VictimHere = await victim({}, async () => {
    for (const mark of [harmed.leader!.guard!, harmed.leader!.patroni!, harmed.leader!.server]) {
      await becomes(mark, /T/);
      seen.push('T');
    }
    await signalMarked(harmed.leader!.guard!, 'SIGKILL');
    throw new Error('Ctrl-C');
  });
  await expect(hereFaults.freeze!(harmed, never)).rejects.toThrow('Ctrl-C');
  expect(seen).toHaveLength(3);
  for (const mark of [harmed.leader!.patroni!, harmed.leader!.server]) await becomes(mark, /[SR]/);
  expect(told).toEqual([]);
});

test('whoever wakes them in dbkit’s place asks for the same process too', async () => {
  const [own, foreign] = [await sleeper(), await sleeper()];
  for (const mark of [own, foreign]) await signalMarked(mark, 'SIGSTOP');
  spawnSync('/bin/sh', ['-c', wakingWords([{ pid: 999_999_999, startedTicks: '1' }, another(foreign), own], 0)], {
    env: { PATH: process.env['PATH'] },
  });
  await becomes(own, /[SR]/);
  expect(stateOf(foreign)).toBe('T');
});
