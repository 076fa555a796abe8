import type { FaultPoint } from '../kernel/machine.ts';

/**
 * kill -9 at a named step, for the tests that prove that a kill there is harmless. `plan` is `STEP` or `STEP:N` (the N-th time it is
 * reached); undefined in daily life.
 */
export function createFaultPoint(plan: string | undefined): FaultPoint {
  if (!plan) return () => undefined;
  const [step, times] = plan.split(':');
  let left = Number(times ?? 1);
  return (reached) => {
    if (reached !== step) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
