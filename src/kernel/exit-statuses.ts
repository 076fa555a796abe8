import type { FailureCode, failures } from './errors.ts';

type Status = 0 | (typeof failures)[FailureCode]['exit'];

/** Every exit status with its meaning, once: --help, the manual page, `dbkit explain` and the README have them from here. */
export const exitStatuses = {
  0: 'done',
  1: 'failed',
  2: 'wrong usage',
  65: 'data corrupt',
  69: 'service or volume unavailable',
  70: 'bug in dbkit',
  73: 'would overwrite',
  75: 'locked or busy',
  77: 'refused for safety',
  78: 'configuration',
  126: 'a program cannot be run',
  127: 'a program is missing',
} as const satisfies Record<Status, string>;

/** Those that the shell gives. */
export const signalStatus = { status: '128+n', meaning: 'ended by signal n' } as const;

/** '0 done', '1 failed', … */
export const exitWords = [...Object.entries(exitStatuses), [signalStatus.status, signalStatus.meaning]].map(
  ([status, meaning]) => `${status} ${meaning}`,
);
