import type { Class } from './declaration.ts';

const sections = {
  A: ['Not corruption', 'Refused with its own status and nothing changed, or simply started.'],
  B: ['One right answer', 'Repaired in place; what a repair replaces is set aside first.'],
  C: ['Needs other bytes', 'Served around while the server can run; a backup brings the rest back.'],
  D: ['Nothing to restore from', 'Set aside whole, and a new instance; or refused, where the owner does not allow that.'],
} as const;

/** docs/FAULTS.md: every class of failure that has a test, by section, from the tests' own declarations. */
export function renderTable(classes: readonly (Class & { readonly test: string })[]): string {
  const parts = Object.entries(sections).map(([section, [title, meaning]]) => {
    const rows = classes.filter((one) => one.section === section).map(row);
    return [`## ${title}`, '', `${meaning} ${rows.length} classes.`, '', ...head, ...rows, ''].join('\n');
  });
  const intro = [
    '# What can go wrong, and what dbkit does about it',
    '',
    'Generated from `test/fault/` (`npx vitest run test/fault/table.test.ts -u`): each row is a test that makes an instance with known rows, breaks it,',
    'runs the real binary, and asserts the exit status, the message, every row, the old bytes, and that the next boot is plain.',
    '"Detected before the start" means that `dbkit inspect` or the preflight names it while no server runs.',
    '',
  ];
  return [...intro, ...parts, ...costs].join('\n');
}

/** The figures are those of bench/README.md, and of a supervisor that was watched for twenty seconds. */
const costs = [
  '## What each source of knowledge costs',
  '',
  '| source | what it tells | what it costs |',
  '|---|---|---|',
  '| the mark (`mark.json`, beside the data and in the state folder) | how far the WAL had come, to two seconds | while WAL is written, every two seconds: the new WAL is read, one segment synced, two files of 330 bytes written: 3 % of a core at 2,760 transactions a second, 0.3 % where nothing is written |',
  '| the archive | the same to a fraction of a second, and the WAL itself | no transaction in a hundred (bench/README.md, *The WAL archive*); its listing at a start |',
  '| the inventory | every file as the last clean stop left it | at a stop and a start an lstat of each file, 12 µs with what Node makes of it; 60 bytes for each |',
  '| kept copies with digests | pg_control, transaction status, maps and configuration of that stop | at a stop, some 200 kB |',
  '| the backup and the WAL since | each page | after a crash 0.15 s before the first answer, and for 0.5 GB 1.6 s of processor time at the lowest priority beside the server; nothing after a clean stop; 43,000 pages a second in `inspect --deep` (bench/README.md, *Proofs*) |',
  '| notes beside the data (`proof-owed`, `wal-brought`, `untold`) | what an earlier start was to do or to tell | a small file for a recovery, three that are looked for at each start |',
  '',
];

const head = ['| what happened | detected before the start? | healed by | rows lost | test |', '|---|---|---|---|---|'];

function row({ name, detectedBefore, healedBy, rowsLost, test }: Class & { readonly test: string }): string {
  return `| ${name} | ${detectedBefore ? 'yes' : 'no'} | ${healedBy} | ${rowsLost} | [${test}](../test/fault/${test}.test.ts) |`;
}
