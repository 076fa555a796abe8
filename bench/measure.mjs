// What the benchmarks share: runs in turn, medians and ratios, and a table. Whole processes are timed from outside.
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
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

/**
 * Bytes that the disk below `directory` was given, whoever gave them (Documentation/block/stat.rst, field 7, in sectors of 512). proc(5) counts a
 * page of the cache whole when it is dirtied, and with large folios that is up to 2 MiB for 8 kB: only this tells what was written. It tells of
 * one tool where the file system holds nothing but the benchmark. Undefined where there is no disk.
 */
function deviceOf(directory) {
  const { dev } = statSync(directory);
  if (dev === statSync('/').dev) return undefined; // Everybody writes there.
  const stat = `/sys/dev/block/${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}/stat`;
  return {
    bytes: () => {
      spawnSync('sync', ['-f', directory]);
      return 512 * Number(readFileSync(stat, 'utf8').trim().split(/\s+/)[6]);
    },
  };
}

/**
 * Wall time, processor time and bytes written by the processes that `work` runs to their end; those of a server are not among them, but for
 * `deviceBytes`, where `directory` is on a disk of its own.
 */
export async function costOf(work, directory = '/') {
  const device = deviceOf(directory);
  const before = { cpuMs: childrenMs(), writtenBytes: writtenBytes(), deviceBytes: device?.bytes() };
  const ms = await timed(work);
  const cost = { ms, cpuMs: childrenMs() - before.cpuMs, writtenBytes: writtenBytes() - before.writtenBytes };
  return device ? { ...cost, deviceBytes: device.bytes() - before.deviceBytes } : cost;
}

/** Prints the medians of what `costOf` measured, and the ratio of the wall times to the first. */
export function printCosts(title, figures) {
  const middle = (costs, name) => median(costs.map((cost) => cost[name]));
  const base = middle([...figures.values()][0], 'ms');
  const hasDevice = [...figures.values()].flat().every(({ deviceBytes }) => deviceBytes !== undefined);
  const titles = ['median', 'ratio', 'min', 'max', 'CPU', 'written', ...(hasDevice ? ['to the disk'] : [])];
  console.log(`\n${title}`);
  console.log(`${'contestant'.padEnd(34)}${titles.map((words, index) => words.padStart([10, 8, 10, 10, 10, 12, 14][index])).join('')}`);
  for (const [name, costs] of figures) {
    const walls = costs.map(({ ms }) => ms);
    const cells = [
      `${median(walls).toFixed(0)} ms`.padStart(10),
      (median(walls) / base).toFixed(2).padStart(8),
      `${Math.min(...walls).toFixed(0)} ms`.padStart(10),
      `${Math.max(...walls).toFixed(0)} ms`.padStart(10),
      `${(middle(costs, 'cpuMs') / 1000).toFixed(2)} s`.padStart(10),
      `${(middle(costs, 'writtenBytes') / 2 ** 20).toFixed(1)} MiB`.padStart(12),
      ...(hasDevice ? [`${(middle(costs, 'deviceBytes') / 2 ** 20).toFixed(1)} MiB`.padStart(14)] : []),
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
