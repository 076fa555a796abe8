import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { boot, program, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { known } from '../harness/rows.ts';

const newest = [...installed].sort((one, other) => other.major - one.major)[0]!;

test('sql asks with the instance’s own address, role and password, with psql and without', async () => {
  const instance = await openInstance({ programs: newest, from: 'template' });
  const running = await boot(instance);
  const sql = (...args: string[]) => run(instance, ['sql', ...args]);

  const counted = await sql('--superuser', '-c', 'SELECT count(*) FROM ledger', '--json');
  expect(JSON.parse(counted.stdout), counted.stdout).toMatchObject({
    schema: 'dbkit.sql/v1',
    report: { database: 'app', user: 'postgres', results: [{ command: 'SELECT', columns: ['count'], rows: [[String(known.ledger)]] }] },
  });
  expect((await sql('--builtin', '-c', '\\dt')).stdout).toMatch(/public +ledger +table/);
  expect((await sql('--builtin', '--superuser', '-c', 'SELECT current_user')).stdout).toContain('postgres');

  expect((await sql('-c', '\\l', '-c', '\\d ledger')).stdout, 'also where psql is older than the server').toMatch(
    /app[\s\S]*integer|bigint/,
  );

  const wrong = await sql('--builtin', '-c', 'SELECT 1;\nSELECT *\n FROM nowhere');
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('LINE 2:  FROM nowhere\n              ^');
  expect(await sql('--builtin', '-c', '\\copy x')).toMatchObject({ code: 2 });

  await sql('--builtin', '--superuser', '-c', 'GRANT CREATE ON SCHEMA public TO PUBLIC'); // From 15 on it is its owner's.
  const script = join(instance.root, 'script.sql');
  await writeFile(script, "CREATE TABLE sent (a int);\nINSERT INTO sent VALUES (1), (2);\nSELECT 'a;b' AS text, NULL AS nothing");
  expect((await sql('-f', script, '--csv')).stdout).toBe('text,nothing\na;b,\n');
  expect(await sql('-c', 'SELECT nothing FROM sent')).toMatchObject({ code: expect.toSatisfy((code: number) => code !== 0) });

  const child = spawn(process.execPath, [program, 'sql', '--builtin', '-f', '-'], { cwd: instance.root, env: { ...instance.env } });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.end('SELECT sum(a) AS total FROM sent;');
  await new Promise((resolve) => child.once('close', resolve));
  expect(said).toBe('total\n3\n(1 row)\n');
  await running.stop();
});
