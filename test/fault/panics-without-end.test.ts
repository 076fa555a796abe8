import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { crash } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped, quarantined } from './verdict.ts';

/** Why a file cannot be made append-only here; undefined when it can. */
function needsChattr(): string | undefined {
  try {
    execFileSync('sh', ['-c', 'f=$(mktemp) && chattr +a "$f" && chattr -a "$f" && rm "$f"'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'chattr +a needs root and a file system that knows it';
  }
}

scenario(
  {
    name: 'the WAL in use is append-only after a crash: the server panics and begins its recovery again without end',
    section: 'A',
    detectedBefore: false,
    healedBy: 'refusal',
    rowsLost: 'none',
    needs: needsChattr,
    from: 'template',
  },
  async (instance) => {
    await crash(instance, await boot(instance));
    const wal = join(instance.dataDir, 'pg_wal');
    const segments = (await readdir(wal)).filter((name) => /^[0-9A-F]{24}$/.test(name)).map((name) => join(wal, name));
    const append = (sign: '+a' | '-a'): void => void execFileSync('chattr', [sign, ...segments]);
    append('+a');
    instance.beforeRemoval(async () => append('-a'));
    const ended = await run(instance, ['entrypoint']);
    expect(ended, ended.stderr).toMatchObject({ code: 69 });
    append('-a');
    expect(await quarantined(instance)).toEqual([]);
    const running = await boot(instance);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);
