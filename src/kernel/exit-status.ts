import { constants } from 'node:os';
import type { ExitReason } from './machine.ts';

/** A shell's convention: the program's own status, or 128 plus the number of the signal that ended it. */
export function exitStatus({ code, signal }: ExitReason): number {
  return signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0);
}
