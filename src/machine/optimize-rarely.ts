import { setFlagsFromString } from 'node:v8';

/** The bytecode that a function runs before V8 thinks of optimizing it (flag-definitions.h of V8 11.3, interrupt_budget), and sixteen times as much. */
const USUAL = 67_584;
const RARE = 16 * USUAL;

let users = 0;

/**
 * Does work that ends within seconds: of a backup with nothing to copy a fifth of the processor time was spent on optimizing functions that hardly ran any
 * more. Only as long as it takes: V8 takes no code that was compiled under other flags (bin/program.js), and neither does Node for its own.
 */
export async function optimizingRarely<T>(work: () => Promise<T>): Promise<T> {
  users += 1;
  setFlagsFromString(`--interrupt-budget=${RARE}`);
  try {
    return await work();
  } finally {
    users -= 1;
    if (users === 0) setFlagsFromString(`--interrupt-budget=${USUAL}`);
  }
}
