import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { environment } from '../core/config.ts';
import type { Layers } from '../core/config-layers.ts';
import { DbkitError, errnoOf, wordsOf } from '../core/errors.ts';

const NAME = 'dbkit.yaml';

/**
 * The configuration file: the one that was named, else the nearest dbkit.yaml upward from `from`, else /etc/dbkit/dbkit.yaml. Undefined
 * when there is none. Rejects with `config.invalid`, with line and column, when it cannot be read.
 */
export async function readConfigFile(named: string | undefined, from: string): Promise<Layers['file']> {
  const path = named === undefined ? await findUpward(from) : resolve(from, named);
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DbkitError('config.invalid', `the configuration file ${path} cannot be read: ${wordsOf(cause)}`, {
      hint: 'correct --config or DBKIT_CONFIG',
      cause,
    });
  });
  const { default: yaml } = await import('yaml'); // Thirty milliseconds: only for those who have a file.
  const document = yaml.parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    throw new DbkitError('config.invalid', `${path}: ${document.errors.map(({ message }) => message.split('\n')[0]).join('\n')}`, {
      hint: 'correct the file; `dbkit config check` checks it again',
    });
  }
  return { path, value: document.toJS() };
}

async function findUpward(from: string): Promise<string | undefined> {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    if (await isFile(join(directory, NAME))) return join(directory, NAME);
    if (directory === dirname(directory)) break;
  }
  return (await isFile(`/etc/dbkit/${NAME}`)) ? `/etc/dbkit/${NAME}` : undefined;
}

const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isFile() ?? false;

/** The table's variables that are set, each from NAME or from the file that NAME_FILE names; both is a mistake, as in the official image. */
export async function readEnvironment(variables: Readonly<Record<string, string | undefined>>): Promise<Layers['environment']> {
  const found: { name: string; text: string; from: string }[] = [];
  for (const name of Object.keys(environment)) {
    const text = variables[name] || undefined; // Empty means unset, as Compose and Kubernetes leave it.
    const file = variables[`${name}_FILE`] || undefined;
    if (text !== undefined && file !== undefined) {
      throw new DbkitError('config.invalid', `both ${name} and ${name}_FILE are set (but are exclusive)`, { hint: 'unset one of them' });
    }
    if (text !== undefined) found.push({ name, text, from: `environment ${name}` });
    if (file !== undefined) found.push({ name, text: await readSecretFile(name, file), from: `file ${file} (${name}_FILE)` });
  }
  return found;
}

async function readSecretFile(name: string, path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DbkitError('config.invalid', `${name}_FILE names ${path}, which cannot be read (${errnoOf(cause)})`, {
      hint: 'mount the secret there, or unset the variable',
      cause,
    });
  });
  return text.replace(/\r?\n$/, '');
}
