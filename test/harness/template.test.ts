import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { installed } from './majors.ts';
import { templateOf } from './template.ts';

test.each(installed)('the template of PostgreSQL $major has every relation where it says', async (programs) => {
  const { dataDir, places } = await templateOf(programs);
  for (const [name, place] of Object.entries(places)) expect(existsSync(join(dataDir, place)), `${name} at ${place}`).toBe(true);
});
