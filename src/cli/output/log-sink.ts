import type { LogEvent, LogFields } from '../../kernel/machine.ts';
import { bytes, duration } from '../../kernel/units.ts';
import { printable } from './printable.ts';
import type { Style } from './style.ts';

export interface SinkOptions {
  readonly format: 'human' | 'json';
  readonly isTerminal: boolean;
  readonly style: Style;
  write(text: string): void;
}

const PROGRESS_TTY_MS = 100;
const PROGRESS_LINES_MS = 5_000;
/** Work that takes no longer than this is not worth a word of progress. */
const PROGRESS_AFTER_MS = 1_000;

export interface Sink {
  log(event: LogEvent): void;
  /** Takes an unfinished progress line off the terminal; called before anything else is written there. */
  clear(): void;
}

/** Events on stderr: sentences for people (progress rewrites one line on a terminal), or one JSON object a line. */
export function createSink({ format, isTerminal, style, write }: SinkOptions): Sink {
  let progressAt = 0;
  let onProgressLine = false;
  const begun = new Map<string, { readonly atMs: number; readonly done: number }>();
  const clear = (): void => {
    if (onProgressLine) write('\r\u001b[2K');
    onProgressLine = false;
  };
  const progress = (event: LogEvent): void => {
    const from = begun.get(event.event) ?? { atMs: event.at.getTime(), done: Number(event.fields['done'] ?? 0) };
    begun.set(event.event, from);
    const elapsedMs = event.at.getTime() - from.atMs;
    if (elapsedMs < PROGRESS_AFTER_MS) return;
    if (event.at.getTime() - progressAt < (isTerminal ? PROGRESS_TTY_MS : PROGRESS_LINES_MS)) return;
    progressAt = event.at.getTime();
    clear();
    const words = `${printable(event.message)}${amount(event.fields)}${pace(event.fields, Number(event.fields['done']) - from.done, elapsedMs)}`;
    write(isTerminal ? style.dim(`  … ${words}`) : `${stamp(event.at)} ${words}\n`);
    onProgressLine = isTerminal;
  };
  const log = (event: LogEvent): void => {
    const { at, level, event: name, message, fields } = event;
    if (format === 'json') write(`${JSON.stringify({ time: at.toISOString(), level, event: name, message, ...fields })}\n`);
    else if (level === 'progress') progress(event);
    else {
      clear();
      write(`${sentence(event, isTerminal, style)}\n`);
    }
  };
  return { log, clear };
}

const stamp = (at: Date): string => `${at.toISOString().slice(11, 19)}Z`;

function sentence({ at, level, message: said }: LogEvent, isTerminal: boolean, style: Style): string {
  const message = printable(said);
  const marks = { debug: style.dim('·'), info: style.good('●'), warn: style.warn('▲'), error: style.bad('✖'), progress: '…' };
  if (isTerminal) return `${marks[level]} ${level === 'debug' ? style.dim(message) : message}`;
  return `${stamp(at)} ${level === 'info' ? '' : `${level}: `}${message}`;
}

/** ', 120 MiB/s, 12 s left'; nothing where it cannot be told yet. */
function pace({ done, total, unit }: LogFields, moved: number, elapsedMs: number): string {
  if (unit !== 'bytes' || typeof done !== 'number' || !(moved > 0)) return '';
  const perSecond = moved / (elapsedMs / 1000);
  const left = typeof total === 'number' && total > done ? `, ${duration(Math.ceil((total - done) / perSecond))} left` : '';
  return `, ${bytes(perSecond)}/s${left}`;
}

function amount({ done, total, unit }: LogFields): string {
  if (typeof done !== 'number') return '';
  const say = (value: number): string =>
    unit === 'bytes' ? bytes(value) : unit === 'seconds' ? duration(value) : `${value} ${String(unit)}`;
  if (typeof total !== 'number' || total === 0) return `, ${say(done)}`;
  return `, ${say(done)} of ${say(total)} (${Math.floor((100 * done) / total)} %)`;
}
