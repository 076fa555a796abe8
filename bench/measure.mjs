// What the benchmarks share: runs in turn, medians and ratios, and a table. Whole processes are timed from outside.
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
