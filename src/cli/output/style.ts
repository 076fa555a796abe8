/** How words look; without colour every one of them is the word itself. The only home of chalk. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  dim(text: string): string;
  strong(text: string): string;
}

const plain: Style = { good: String, bad: String, warn: String, dim: String, strong: String };

/** Colour only for a terminal, and not when NO_COLOR or --no-color says so (https://no-color.org). */
export async function createStyle(colour: boolean): Promise<Style> {
  if (!colour) return plain;
  const { Chalk } = await import('chalk');
  const chalk = new Chalk({ level: 1 });
  return { good: chalk.green, bad: chalk.red, warn: chalk.yellow, dim: chalk.dim, strong: chalk.bold };
}
