import { test } from 'vitest';
import type { Instance } from '../harness/instance.ts';
import { openInstance } from '../harness/instance.ts';
import { installed, type Programs } from '../harness/majors.ts';
import { everywhere, isLongTier } from '../harness/tier.ts';
import type { Class, Disaster } from './declaration.ts';
import { happen } from './happen.ts';

/** Declares a class of failure and defines its tests: left, broken, looked at, booted, counted, and booted again. */
export function disaster(declaration: Disaster): void {
  onEachMajor(declaration, (programs) => happen(declaration, programs));
}

/** A class whose course is its own: it gets an instance and asserts for itself. */
export function scenario(declaration: Class & { readonly from: 'template' | 'empty' }, play: (instance: Instance) => Promise<void>): void {
  onEachMajor(declaration, async (programs) => play(await openInstance({ programs, from: declaration.from })));
}

/** Every class runs on one major; with DBKIT_TEST_ALL=1 on every major that is installed. health.live.test.ts starts each of them every day. */
function onEachMajor({ name, longTier = false, majors, needs, timeoutMs }: Class, play: (programs: Programs) => Promise<void>): void {
  const wanted = installed.filter(({ major }) => majors?.includes(major) ?? true);
  const chosen = everywhere ? wanted : wanted.slice(0, 1);
  test.for(chosen)(`${name} (PostgreSQL $major)`, timeoutMs === undefined ? {} : { timeout: timeoutMs }, async (programs, { skip }) => {
    const reason = longTier && !isLongTier ? 'of the long tier: npm run test:long' : needs?.();
    if (reason !== undefined) skip(reason);
    await play(programs);
  });
}
