import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** The README down to the three homes, in one line. */
const screen = readFileSync('README.md', 'utf8').split('\n## Three homes\n')[0]!.replace(/\s+/g, ' ');

interface Witness {
  readonly file: string;
  readonly title: string;
}

const at = (file: string, title: string): Witness => ({ file: `test/${file}`, title });
const screenTest = (title: string): Witness => at('cli/first-screen.live.test.ts', title);
const STARTED = screenTest('npm start serves from ./.dbkit until Ctrl-C, keeps the WAL, and with a command exits with its status');
const TOUR = at('cli/package.live.test.ts', 'the README’s tour goes as it is told there');
const LADDER = 'recovery/recovery.test.ts';

/** What the first screen says, in its order, and the tests that see it so. */
const claims: readonly (readonly [said: string, ...seen: readonly Witness[]])[] = [
  [
    '# dbkit One program keeps PostgreSQL alive in a dev container, on a VPS and in a pod,',
    at('container/breakages.scenario.ts', 'between two starts $what'),
    at('container/systemd.scenario.ts', 'a server that is damaged while it runs is stopped, mended and started'),
    at('container/kubernetes.scenario.ts', 'a database whose files are gone is restored by the monitor, to the last commit'),
  ],
  [
    'and never loses the data under it.',
    at('container/first-use.scenario.ts', 'killed during pgbench: every acknowledged commit is there again'),
    at(LADDER, 'damaged user data is served around, and restored only when no row is lost'),
    at('fault/random-harm.test.ts', 'rows found and losses told are all the rows that were acknowledged'),
  ],
  ['It is the container’s ENTRYPOINT,', at('container/first-use.scenario.ts', 'nothing runs as root but dbkit, and PID 1 is an init')],
  ['backup tool,', at('container/first-use.scenario.ts', 'an empty workspace: up, rows, backup, stop, up')],
  ['health check,', at('health/health.live.test.ts', 'with a backup it is healthy')],
  ['monitor and recovery tool.', at('monitor/monitor.live.test.ts', 'is recovered at the second failed check, with every row')],
  ['It inspects the data directory,', at('supervisor/running-instance.live.test.ts', 'finds nothing wrong'), TOUR],
  [
    'makes it startable in the least destructive way,',
    at(LADDER, 'a repair comes before anything that replaces'),
    at(LADDER, 'starting anew is the last rung'),
  ],
  ['starts PostgreSQL, proves that it answers, runs your command,', TOUR],
  [
    'stops cleanly, and keeps its instances’ WAL.',
    STARTED,
    at('wal/keeper.live.test.ts', 'a new instance has its WAL kept from the first row on'),
  ],
  ['## Two commands ```console', screenTest('the two commands do what is said beside them, in that order')],
  ['$ npm start # installs, builds, and serves a database from ./.dbkit until Ctrl-C;', STARTED],
  [
    'needs nothing but Node 20.19 or newer',
    screenTest('nothing is needed but the Node that is named'),
    at('container/package.scenario.ts', '20.19.0'),
  ],
  [
    '$ npm test # installs, builds, lints, checks the types and runs the tests ```',
    screenTest('the two commands do what is said beside them'),
  ],
  ['`npm start -- CMD ARGS` runs a command against the database and exits with its status.', STARTED],
  ['## One minute', TOUR],
  ['`--local` keeps data, logs, backups and state below `./.dbkit`. `npx` finds the program once `npm start` has built it.', STARTED],
  ['`dbkit` alone says how things are. `dbkit sql` needs no `psql`.', STARTED],
];

test('the first screen says nothing but what a test sees', () => {
  let rest = screen.replace(/(?<=## One minute )```console .*?```/, ''); // The tour: each of its lines is typed and compared.
  for (const [said] of claims) {
    const found = rest.replaceAll("'", '’');
    expect(found.trimStart().slice(0, said.length), 'the next claim').toBe(said);
    rest = found.trimStart().slice(said.length);
  }
  expect(rest.trim(), 'said, and in no test').toBe('');
});

test.each(claims.flatMap(([said, ...seen]) => seen.map((witness) => ({ said, ...witness }))))('$said: $file', ({ file, title }) => {
  expect(readFileSync(file, 'utf8')).toContain(title);
});
