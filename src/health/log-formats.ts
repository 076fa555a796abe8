import * as v from 'valibot';
import { isError, type LogEntry } from './log-messages.ts';

/** How the server writes its log: log_destination's words ("Where to Log"). */
export type LogFormat = 'stderr' | 'csvlog' | 'jsonlog';

/** An entry, and the line that a person finds in the file. */
export interface LogLine {
  readonly entry: LogEntry;
  readonly line: string;
}

/** Whole lines of a log, of which the first may be the rest of an entry. Lines that begin no entry (DETAIL, STATEMENT, what is cut) are passed over. */
export function entriesOf(text: string, format: LogFormat): readonly LogLine[] {
  const lines = format === 'csvlog' ? text.split(/\n(?=\d{4}-\d\d-\d\d \d\d:)/) : text.split('\n');
  return lines.flatMap((line) => {
    const entry = readers[format](line);
    return entry ? [{ entry, line: line.trim() }] : [];
  });
}

const readers: Record<LogFormat, (line: string) => LogEntry | undefined> = { stderr: fromStderr, csvlog: fromCsv, jsonlog: fromJson };

/**
 * The severity stands after the prefix (log_line_prefix), and so does the code where the prefix has it (%e). The server's own words of severity
 * are translated; a line in another language is understood by its code, or by its severity and the file that it names.
 */
function fromStderr(line: string): LogEntry | undefined {
  const [, prefix = '', severity, message = ''] = /^(.*?)(?:^|\s)(LOG|WARNING|ERROR|FATAL|PANIC):\s+(.*)$/.exec(line) ?? [];
  if (severity !== undefined) return { severity, sqlState: stateIn(prefix), message };
  const [, before = '', foreign, words = ''] = /^(.*?)(?:^|\s)([\p{Lu}\p{Lo}]{2,}):\s+(.*)$/u.exec(line) ?? [];
  const sqlState = stateIn(before);
  if (foreign === undefined || (sqlState === undefined && !isError(foreign))) return undefined;
  return { severity: foreign, sqlState, message: words };
}

/** Only codes that tell of trouble with data or disks: anything of five characters may stand in a prefix. */
const stateIn = (prefix: string): string | undefined => /\b(XX00[012]|58030|58P01|53100|53200)\b/.exec(prefix)?.[1];

const [SEVERITY, STATE, MESSAGE] = [11, 12, 13]; // "Using CSV-Format Log Output": error_severity, sql_state_code, message.

function fromCsv(record: string): LogEntry | undefined {
  const fields = columns(record, MESSAGE + 1);
  const [severity, sqlState, message] = [fields[SEVERITY], fields[STATE], fields[MESSAGE]];
  if (severity === undefined || sqlState === undefined || message === undefined || !/^[0-9A-Z]{5}$/.test(sqlState)) return undefined;
  return { severity, sqlState, message: message.split('\n')[0]! };
}

/** The first columns of a record; a quote within quotes is doubled. */
function columns(record: string, count: number): string[] {
  const found: string[] = [];
  let at = 0;
  while (found.length < count && at <= record.length) {
    if (record[at] === '"') {
      let text = '';
      for (at += 1; at < record.length; at += 1) {
        if (record[at] !== '"') text += record[at];
        else if (record[at + 1] === '"') {
          text += '"';
          at += 1;
        } else break;
      }
      found.push(text);
      at = record.indexOf(',', at);
      if (at < 0) break;
      at += 1;
    } else {
      const end = record.indexOf(',', at);
      found.push(record.slice(at, end < 0 ? undefined : end));
      if (end < 0) break;
      at = end + 1;
    }
  }
  return found;
}

/** "Using JSON-Format Log Output". */
const json = v.looseObject({ error_severity: v.string(), state_code: v.optional(v.string()), message: v.string() });

function fromJson(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const read = v.safeParse(json, JSON.parse(line));
    return read.success
      ? { severity: read.output.error_severity, sqlState: read.output.state_code, message: read.output.message }
      : undefined;
  } catch {
    return undefined; // Cut in the middle.
  }
}
