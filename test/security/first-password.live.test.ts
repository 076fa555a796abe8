import { expect, test } from 'vitest';
import { ask } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { configure, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const [programs] = installed;

/** Whether a role of that name has a password; undefined: there is no such role. */
const PASSWORD = "SELECT rolpassword IS NOT NULL AS given FROM pg_authid WHERE rolname = 'clerk'";

test('data that others reach gets no role with a password that is in every manual', async () => {
  const opened = await openInstance({ programs: programs!, from: 'template' });
  const { DATABASE_PASSWORD: _known, ...env } = opened.env;
  const instance = { ...opened, env: { ...env, DATABASE_USERNAME: 'clerk' } };
  const postgresql = { settings: { listen_addresses: '*' } };
  await configure(instance, { postgresql });
  const running = await boot(instance);
  expect(await ask(instance, 'postgres', PASSWORD)).toEqual([{ given: false }]);
  expect(running.words()).toContain('set DATABASE_PASSWORD');
  const { stdout } = await run(instance, ['health', '--probe', 'authentication']);
  expect(stdout).toContain('the role clerk has no password');

  await running.stop();
  await configure(instance, { postgresql: { ...postgresql, password: 'of its own' } });
  const again = await boot(instance);
  expect(await ask(instance, 'postgres', PASSWORD)).toEqual([{ given: true }]);
  await again.stop();
});
