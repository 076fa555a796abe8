import type { System } from '../kernel/machine.ts';
import type { PlannedStep } from './plan.ts';

const SHOWN = 10;

/** Tells each repair before it is made; of many alike the first few, and at the end how many more there were. */
export function stepTeller({ log }: Pick<System, 'log'>) {
  const alike = new Map<string, number>();
  return {
    begins({ finding: { code, path, evidence }, remedy }: PlannedStep): void {
      const times = (alike.get(remedy.id) ?? 0) + 1;
      alike.set(remedy.id, times);
      const how = remedy.then === 'repair' ? remedy.mend : remedy.then;
      log[times > SHOWN ? 'debug' : 'info']('repair.step', `${path}: ${evidence}; ${how}: ${remedy.words}`, {
        code,
        path,
        reason: remedy.id,
      });
    },
    ends(): void {
      for (const [reason, times] of alike)
        if (times > SHOWN) log.info('repair.step', `${times - SHOWN} more were mended in the same way`, { reason, times: times - SHOWN });
    },
  };
}
