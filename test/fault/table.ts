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
  return [...intro, ...parts].join('\n');
}

const head = ['| what happened | detected before the start? | healed by | rows lost | test |', '|---|---|---|---|---|'];

function row({ name, detectedBefore, healedBy, rowsLost, test }: Class & { readonly test: string }): string {
  return `| ${name} | ${detectedBefore ? 'yes' : 'no'} | ${healedBy} | ${rowsLost} | [${test}](../test/fault/${test}.test.ts) |`;
}
