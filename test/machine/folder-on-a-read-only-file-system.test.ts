import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';

vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  /** As Node answers where the file system is read-only. */
  mkdir: (path: string, options?: { recursive?: boolean }) => {
    const code = options?.recursive ? 'ENOENT' : 'EROFS';
    return Promise.reject(Object.assign(new Error(`${code}: mkdir '${path}'`), { code, path }));
  },
}));

test('a folder that cannot be made for a read-only file system is told so, with the first folder that is missing', async () => {
  const files = createFiles(createLogger('error', () => undefined));
  const missing = join(tmpdir(), 'dbkit-is-not-here');
  await expect(files.makeDirectory(join(missing, 'state', 'deep'))).rejects.toMatchObject({ code: 'EROFS', path: missing });
});
