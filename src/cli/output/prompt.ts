import { DbkitError } from '../../kernel/errors.ts';
import { printable } from './printable.ts';

export interface Asker {
  /** Both ends are a terminal and nobody automates it. */
  readonly mayAsk: boolean;
  /** --yes */
  readonly yes: boolean;
  /** Its effect, and what else helps where nobody can answer; default: data is replaced, and there is a plan to see. */
  readonly refusal?: { readonly message: string; readonly hint: string };
}

const REPLACES = {
  message: 'this replaces data, and there is no terminal to ask at',
  hint: 'add --yes to do it without a question, or --dry-run to see the plan',
};

/** Asks before something is replaced. Rejects with `prompt.refused` where nobody can answer: then it takes --yes. */
export async function confirm(question: string, { mayAsk, yes, refusal = REPLACES }: Asker): Promise<boolean> {
  if (yes) return true;
  if (!mayAsk) throw new DbkitError('prompt.refused', refusal.message, { hint: refusal.hint });
  return askYes(question, false);
}

/** Offers a list to choose from. Call only where somebody can answer. */
export async function choose(question: string, choices: readonly { readonly name: string; readonly value: string }[]): Promise<string> {
  return (await ask({
    type: 'select',
    message: printable(question),
    choices: choices.map(({ name, value }) => ({ name: printable(name), value })),
    pageSize: 12,
  })) as string;
}

/** One line; empty is only taken where it may be. */
export async function askText(
  question: string,
  { default: suggestion, isOptional }: { readonly default?: string | undefined; readonly isOptional: boolean },
): Promise<string> {
  const validate = (answer: string): true | string => isOptional || answer.trim() !== '' || 'something is wanted here';
  return String(await ask({ type: 'input', message: question, default: suggestion, validate })).trim();
}

/** One line that nobody sees. */
export async function askSecret(question: string, { isOptional }: { readonly isOptional: boolean }): Promise<string> {
  const validate = (answer: string): true | string => isOptional || answer.trim() !== '' || 'something is wanted here';
  return String(await ask({ type: 'password', mask: '*', message: question, validate })).trim();
}

export const askYes = async (question: string, suggestion: boolean): Promise<boolean> =>
  (await ask({ type: 'confirm', message: printable(question), default: suggestion })) as boolean;

async function ask(question: object): Promise<unknown> {
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ output: process.stderr });
  try {
    return ((await prompt([{ ...question, name: 'answer' }] as unknown as Parameters<typeof prompt>[0])) as { answer: unknown }).answer;
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'ExitPromptError')
      // Ctrl-C: the prompt has the terminal in raw mode and swallows the signal.
      throw new DbkitError('recovery.refused', 'nothing was changed: the question was not answered', { cause });
    throw cause;
  }
}
