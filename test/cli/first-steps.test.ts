import { expect, test } from 'vitest';
import { firstSteps } from '../../src/cli/entrypoint.ts';
import type { Config } from '../../src/config/config.ts';

const config = (base: string): Config =>
  ({ postgresql: { dataDir: `${base}/data` }, backupDir: `${base}/backup`, logDir: `${base}/log` }) as Config;
const CLOCK = '00:14:15Z '.length;

test('the first start in a folder says how to ask, where everything is and how to stop, below 80 columns', () => {
  const lines = firstSteps(config('/srv/app/.dbkit'), true, '/srv/app');
  expect(lines).toEqual([
    'in another terminal: `npx dbkit sql --local`',
    'data: .dbkit/data; backups: .dbkit/backup; logs: .dbkit/log',
    'stop with Ctrl-C or SIGTERM',
  ]);
  expect(Math.max(...lines.map((line) => line.length + CLOCK))).toBeLessThan(80);
});

test('a folder elsewhere is said whole, and is named in the commands', () => {
  const lines = firstSteps(config('/mnt/db'), '/mnt/db', '/srv/app');
  expect(lines[0]).toContain('npx dbkit sql --local /mnt/db');
  expect(lines[1]).toBe('data: /mnt/db/data; backups: /mnt/db/backup; logs: /mnt/db/log');
});

test('a container is told only how it ends', () => {
  expect(firstSteps(config('/var/lib'), undefined, '/')).toEqual(['stop with Ctrl-C or SIGTERM']);
});
