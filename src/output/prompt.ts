import { DbkitError } from '../core/errors.ts';

export interface Asker {
  /** Both ends are a terminal and nobody automates it. */
  readonly mayAsk: boolean;
  /** --yes */
  readonly yes: boolean;
}

/** Asks before something is replaced. Rejects with `prompt.refused` where nobody can answer: then it takes --yes. */
export async function confirm(question: string, { mayAsk, yes }: Asker): Promise<boolean> {
  if (yes) return true;
  if (!mayAsk)
    throw new DbkitError('prompt.refused', 'this replaces data, and there is no terminal to ask at', {
      hint: 'add --yes to do it without a question, or --dry-run to see the plan',
    });
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ output: process.stderr });
  const { answer } = (await prompt([{ type: 'confirm', name: 'answer', message: question, default: false }])) as { answer: boolean };
  return answer;
}
