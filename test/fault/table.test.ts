import { readdirSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { daily } from './daily.ts';
import type { Class } from './declaration.ts';
import { renderTable } from './table.ts';

const declared: Class[] = [];
vi.mock('./disaster.ts', () => ({
  disaster: (declaration: Class) => void declared.push(declaration),
  scenario: (declaration: Class) => void declared.push(declaration),
}));

test('docs/FAULTS.md is what the tests declare', async () => {
  const classes: (Class & { test: string })[] = [];
  const names = readdirSync(import.meta.dirname).flatMap((file) => /^(.*)\.test\.ts$/.exec(file)?.[1] ?? []);
  for (const name of names.filter((one) => one !== 'table').sort()) {
    declared.length = 0;
    await import(`./${name}.test.ts`);
    expect(declared, `${name} declares its class`).not.toEqual([]);
    classes.push(...declared.map((declaration) => ({ ...declaration, test: name })));
  }
  expect(new Set(classes.map(({ name }) => name)).size, 'every class has a name of its own').toBe(classes.length);
  expect(classes.length).toBeGreaterThanOrEqual(45);
  await expect(renderTable(classes)).toMatchFileSnapshot('../../docs/FAULTS.md');
});

test('each of the daily disasters has a file', () => {
  const files = readdirSync(import.meta.dirname);
  expect(daily.filter((name) => !files.includes(`${name}.test.ts`))).toEqual([]);
  expect(new Set(daily).size).toBe(daily.length);
});
