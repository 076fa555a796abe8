import { type Failure, toFailure } from '../../kernel/errors.ts';
import { printable } from './printable.ts';

/** The one document of a command on stdout: what `--json` promises, on success and on failure alike. */
export const successDocument = (command: string, report: unknown): string =>
  `${JSON.stringify({ schema: schemaOf(command), ok: true, report }, null, 2)}\n`;
export const failureDocument = (command: string, failure: Failure): string =>
  `${JSON.stringify({ schema: schemaOf(command), ok: false, failure }, null, 2)}\n`;

/** 'config show' → 'dbkit.config-show/v1'; a document of no command is 'dbkit/v1'. */
const schemaOf = (command: string): string => `${['dbkit', ...(command ? [command.replaceAll(' ', '-')] : [])].join('.')}/v1`;

/** A failure for people, on stderr: what happened, then what to type next. A bug also shows where. */
export function failureText(thrown: unknown): string {
  const { code, message, hint } = toFailure(thrown);
  const lines = [`dbkit: ${message}`];
  if (code === 'internal.bug' && thrown instanceof Error && thrown.stack) lines.push(thrown.stack.split('\n').slice(1, 8).join('\n'));
  if (hint) lines.push(`HINT: ${hint}`);
  return `${printable(lines.join('\n'))}\n`;
}
