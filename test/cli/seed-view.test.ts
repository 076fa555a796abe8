import { expect, test } from 'vitest';
import type { SeedManifest } from '../../src/backups/seed/seed-file.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { loadedView, savedView } from '../../src/cli/seed.ts';

const plain = await createStyle(false);
const manifest = { database: 'app', sizeBytes: 2048, tables: [{ table: 'public.users', rows: 3 }] } as unknown as SeedManifest;

test('rows that were not counted are not told as none', () => {
  expect(savedView('/p/seed/50-seed.sql', { ...manifest, isCounted: true }, plain)).toContain('1 table, 3 rows');
  const uncounted = savedView('/p/seed/50-seed.sql', { ...manifest, tables: [], isCounted: false }, plain);
  expect(uncounted).toContain('its rows were not counted');
  expect(uncounted).not.toMatch(/0 (tables|rows)/);
  expect(loadedView({ database: 'app', tables: 1, rows: 3, isEdited: false })).toBe('loaded into app: 1 table, 3 rows');
  expect(loadedView({ database: 'app', tables: null, rows: null, isEdited: false })).toContain('were not counted');
});
