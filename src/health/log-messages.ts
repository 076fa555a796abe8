/** A line of the server's log that a person should know of. */
export interface LogWord {
  readonly status: 'warning' | 'critical';
  /** What it means, in one phrase. */
  readonly meaning: string;
}

/** First match wins. The strings are those of the server's source (13 to 18), as they stand after LOG, WARNING, ERROR, FATAL or PANIC. */
const rows: readonly (readonly [pattern: RegExp, status: LogWord['status'], meaning: string])[] = [
  [/invalid page (header )?in block/, 'critical', 'a page is damaged'],
  [/(page|checksum) verification failed/, 'critical', 'a page fails its checksum'],
  [
    /could not (read|write|extend|fsync) (block|blocks|file)\b.*No space left|No space left on device|Disk quota exceeded/,
    'critical',
    'a disk is full',
  ],
  [/Input\/output error/, 'critical', 'a disk fails'],
  [/could not (read|write) blocks? |could not (fsync|extend) file /, 'critical', 'a file cannot be read or written'],
  [/terminated by signal (4|6|7|8|11)\b|[Ss]egmentation fault/, 'critical', 'a server process crashed'],
  [/terminated by signal 9\b/, 'warning', 'a server process was killed, perhaps for want of memory'],
  [/due to startup process failure|startup process \(PID \d+\) (exited|was terminated)/, 'critical', 'the server could not start'],
  [/interrupted while in recovery/, 'critical', 'the server was stopped in the middle of recovery'],
  [
    /could not access status of transaction|unexpected zero page|contains corrupted page|missing chunk number/,
    'critical',
    'data is damaged',
  ],
];

/** The severity stands after the prefix (log_line_prefix); a user's own SQL comes in STATEMENT and DETAIL lines, which are passed over. */
const message = /(?:^|\s)(LOG|WARNING|ERROR|FATAL|PANIC):\s+(.*)$/;

/** What a line of the log means; undefined for daily business. */
export function logWordOf(line: string): LogWord | undefined {
  const [, severity, words = ''] = message.exec(line) ?? [];
  if (severity === undefined) return undefined;
  const known = rows.find(([pattern]) => pattern.test(words));
  if (known) return { status: known[1], meaning: known[2] };
  return severity === 'PANIC' ? { status: 'critical', meaning: 'the server gave up' } : undefined;
}
