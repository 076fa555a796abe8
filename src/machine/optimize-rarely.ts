import { setFlagsFromString } from 'node:v8';

/** The bytecode that a function runs before V8 thinks of optimizing it (interrupt_budget in flag-definitions.h), and sixteen times as much. */
const USUAL = 67_584;
const RARE = 16 * USUAL;
/** That of Node 20. Later ones have no such flag, and write of each that they do not know to stderr. */
export const knowsFlag = process.versions.v8.startsWith('11.3.');
const setBudget = (bytes: number): void => {
  if (knowsFlag) setFlagsFromString(`--interrupt-budget=${bytes}`);
};

let users = 0;

/**
 * Does work that ends within seconds: of a backup with nothing to copy a fifth of the processor time was spent on optimizing functions that hardly ran any
 * more. Only as long as it takes: V8 takes no code that was compiled under other flags (bin/program.js), and neither does Node for its own.
 */
export async function optimizingRarely<T>(work: () => Promise<T>): Promise<T> {
  users += 1;
  setBudget(RARE);
  try {
    return await work();
  } finally {
    users -= 1;
    if (users === 0) setBudget(USUAL);
  }
}
