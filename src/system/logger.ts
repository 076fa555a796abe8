import type { LogEvent, LogFields, Logger, LogLevel } from '../core/contracts.ts';
import { clock } from './clock.ts';

const weights: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Stamps events and lets those of `from` and above through to the sink; how they look is the output's business. */
export function createLogger(from: LogLevel, sink: (event: LogEvent) => void): Logger {
  const at =
    (level: LogLevel) =>
    (event: string, message: string, fields: LogFields = {}) => {
      if (weights[level] >= weights[from]) sink({ at: clock.now(), level, event, message, fields });
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    progress: (event, message, { done, total, unit }) => {
      if (weights[from] <= weights.info) sink({ at: clock.now(), level: 'progress', event, message, fields: { done, total, unit } });
    },
  };
}
