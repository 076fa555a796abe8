import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { program } from '../harness/dbkit.ts';
import { missing } from './lab.ts';

const base = mkdtempSync('/tmp/dbkit-dr-'); // Short: a path of a socket has 107 bytes.
chmodSync(base, 0o755); // The servers' user works below it.
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Trial {
  readonly lostRows: number;
  readonly ackedRows: number;
  readonly twoWritableSeconds: number;
  readonly errors: number;
  readonly redundantSeconds: number | null;
}

function drill(name: string, port: number): Trial {
  const args = ['ha', 'drill', name, '--first-port', String(port), '--json', '--local', join(base, 'd')];
  const { stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 170_000 });
  const document = JSON.parse(stdout) as { readonly ok: boolean; readonly report: { readonly trials: readonly Trial[] } };
  expect(document.ok, stderr).toBe(true);
  return document.report.trials[0]!;
}

/** How long it takes is for the report to say; what is lost is not a matter of the machine. */
describe.skipIf(missing.length > 0)('drills on a cluster of their own', () => {
  const cut =
    process.getuid?.() === 0 && spawnSync('unshare', ['--net', 'ip', 'link'], { stdio: 'ignore' }).status === 0 ? ['partition'] : [];
  for (const [index, name] of ['leader-node', 'patroni-killed', 'patroni-hung', 'replica-lost', 'cold-start', ...cut].entries())
    test(`${name}: no acknowledged row is lost, and never do two servers take writes`, () => {
      const trial = drill(name, 21_600 + index * 40);
      expect(trial).toMatchObject({ lostRows: 0, twoWritableSeconds: 0, redundantSeconds: expect.any(Number) });
      expect(trial.ackedRows).toBeGreaterThan(40);
    });
});
