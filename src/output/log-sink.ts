import type { LogFields } from '../core/contracts.ts';
import { bytes, duration } from './format.ts';
import type { Style } from './style.ts';

/** One event as the system's logger hands it over. */
export interface LogEvent {
  readonly at: Date;
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'progress';
  readonly event: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface SinkOptions {
  readonly format: 'human' | 'json';
  readonly isTerminal: boolean;
  readonly style: Style;
  write(text: string): void;
}

const PROGRESS_TTY_MS = 100;
const PROGRESS_LINES_MS = 5_000;

/** Events on stderr: sentences for people (progress rewrites one line on a terminal), or one JSON object a line. */
export function createSink({ format, isTerminal, style, write }: SinkOptions): (event: LogEvent) => void {
  let progressAt = 0;
  let onProgressLine = false;
  const clear = (): void => {
    if (onProgressLine) write('\r\u001b[2K');
    onProgressLine = false;
  };
  return (event) => {
    if (format === 'json')
      return write(
        `${JSON.stringify({ time: event.at.toISOString(), level: event.level, event: event.event, message: event.message, ...event.fields })}\n`,
      );
    if (event.level !== 'progress') {
      clear();
      return write(`${sentence(event, isTerminal, style)}\n`);
    }
    const due = event.at.getTime() - progressAt >= (isTerminal ? PROGRESS_TTY_MS : PROGRESS_LINES_MS);
    if (!due) return;
    progressAt = event.at.getTime();
    clear();
    write(
      isTerminal
        ? style.dim(`  … ${event.message}${amount(event.fields)}`)
        : `${stamp(event.at)} ${event.message}${amount(event.fields)}\n`,
    );
    onProgressLine = isTerminal;
  };
}

const stamp = (at: Date): string => `${at.toISOString().slice(11, 19)}Z`;

function sentence({ at, level, message }: LogEvent, isTerminal: boolean, style: Style): string {
  const marks = { debug: style.dim('·'), info: style.good('●'), warn: style.warn('▲'), error: style.bad('✖'), progress: '…' };
  if (isTerminal) return `${marks[level]} ${level === 'debug' ? style.dim(message) : message}`;
  return `${stamp(at)} ${level === 'info' ? '' : `${level}: `}${message}`;
}

function amount({ done, total, unit }: LogFields): string {
  if (typeof done !== 'number') return '';
  const say = (value: number): string =>
    unit === 'bytes' ? bytes(value) : unit === 'seconds' ? duration(value) : `${value} ${String(unit)}`;
  if (typeof total !== 'number' || total === 0) return `, ${say(done)}`;
  return `, ${say(done)} of ${say(total)} (${Math.floor((100 * done) / total)} %)`;
}
