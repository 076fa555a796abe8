import type { LogEvent, LogFields, Logger, LogLevel } from '../kernel/machine.ts';
import { clock } from './clock.ts';

const weights: Record<LogEvent['level'], number> = { debug: 0, info: 1, progress: 1, warn: 2, error: 3 };

/** Listens in on everything from info on, however quiet the log itself is. */
export type LogTaps = Set<(event: LogEvent) => void>;

/** Stamps events and lets those of `from` and above through to the sink; how they look is the output's business. */
export function createLogger(from: LogLevel, sink: (event: LogEvent) => void, taps: LogTaps = new Set()): Logger {
  const say = (level: LogEvent['level'], event: string, message: string, fields: LogFields): void => {
    const stamped: LogEvent = { at: clock.now(), level, event, message, fields };
    if (weights[level] >= weights[from]) sink(stamped);
    if (weights[level] >= weights.info) for (const tap of taps) tap(stamped);
  };
  const at =
    (level: LogLevel) =>
    (event: string, message: string, fields: LogFields = {}) =>
      say(level, event, message, fields);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    progress: (event, message, { done, total, unit }) => say('progress', event, message, { done, total, unit }),
  };
}
