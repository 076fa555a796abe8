// What the benchmarks share: runs in turn, medians and ratios, and a table. Whole processes are timed from outside.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** The middle of the figures. */
export function median(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Runs the contestants in turn, each round beginning with another one (A B C, B C A, …), so that a machine that drifts and a cache that the one
 * before has warmed treat them alike; the first round does not count.
 */
export async function inTurn(contestants, rounds) {
  const figures = new Map(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    const first = round % contestants.length;
    for (const { name, run } of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      const figure = await run();
      if (round > 0) figures.get(name).push(figure);
    }
  }
  return figures;
}

/** Milliseconds that `work` takes. */
export async function timed(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** Ticks of proc(5)'s stat, fields 16 and 17: the time of children that have ended and were waited for, in hundredths of a second. */
const childrenMs = () => {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ').map(Number);
  return 10 * (fields[13] + fields[14]);
};
/** proc(5): the kernel adds what a child has written to its parent's figure when it is waited for. Nothing is counted on tmpfs. */
const writtenBytes = () => Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))[1]);

/** Wall time, processor time and bytes written by the processes that `work` runs to their end; those of a server are not among them. */
export async function costOf(work) {
  const before = { cpuMs: childrenMs(), writtenBytes: writtenBytes() };
  const ms = await timed(work);
  return { ms, cpuMs: childrenMs() - before.cpuMs, writtenBytes: writtenBytes() - before.writtenBytes };
}

/** Prints the medians of what `costOf` measured, and the ratio of the wall times to the first. */
export function printCosts(title, figures) {
  const middle = (costs, name) => median(costs.map((cost) => cost[name]));
  const base = middle([...figures.values()][0], 'ms');
  console.log(`\n${title}`);
  console.log(
    `${'contestant'.padEnd(34)}${'median'.padStart(10)}${'ratio'.padStart(8)}${'min'.padStart(10)}${'max'.padStart(10)}${'CPU'.padStart(10)}${'written'.padStart(12)}`,
  );
  for (const [name, costs] of figures) {
    const walls = costs.map(({ ms }) => ms);
    const cells = [
      `${median(walls).toFixed(0)} ms`.padStart(10),
      (median(walls) / base).toFixed(2).padStart(8),
      `${Math.min(...walls).toFixed(0)} ms`.padStart(10),
      `${Math.max(...walls).toFixed(0)} ms`.padStart(10),
      `${(middle(costs, 'cpuMs') / 1000).toFixed(2)} s`.padStart(10),
      `${(middle(costs, 'writtenBytes') / 2 ** 20).toFixed(1)} MiB`.padStart(12),
    ];
    console.log(`${name.padEnd(34)}${cells.join('')}`);
  }
}

/** Prints median, minimum and maximum of each, and the ratio of the medians to the first. */
export function printTable(title, figures) {
  const base = median([...figures.values()][0]);
  console.log(`\n${title}`);
  console.log(`${'contestant'.padEnd(34)}${'median'.padStart(10)}${'min'.padStart(10)}${'max'.padStart(10)}${'ratio'.padStart(8)}`);
  for (const [name, runs] of figures) {
    const cells = [median(runs), Math.min(...runs), Math.max(...runs)].map((ms) => `${ms.toFixed(1)} ms`.padStart(10));
    console.log(`${name.padEnd(34)}${cells.join('')}${(median(runs) / base).toFixed(2).padStart(8)}`);
  }
}
