import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { environment } from './environment.ts';
import type { Layers } from './layers.ts';
import type { Origin } from './origin.ts';

const NAME = 'dbkit.yaml';

/**
 * The configuration file: the one that was named, else the nearest dbkit.yaml upward from `from`, else /etc/dbkit/dbkit.yaml. Undefined
 * when there is none. Rejects with `config.invalid`, with line and column, when it cannot be read. Root is warned of a file that others may
 * change: it names commands, and root would run them.
 */
export async function readConfigFile(
  named: string | undefined,
  from: string,
  { log, self }: Pick<System, 'log' | 'self'>,
): Promise<Layers['file']> {
  const path = named === undefined ? await findUpward(from) : resolve(from, named);
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const why = errnoOf(cause) === 'ENOENT' ? 'does not exist' : `cannot be read: ${wordsOf(cause)}`;
    throw new DbkitError('config.invalid', `the configuration file ${path} ${why}`, { hint: 'correct --config or DBKIT_CONFIG', cause });
  });
  const others = self.uid === 0 ? await whoElseMayWrite(path) : undefined;
  if (others !== undefined)
    log.warn('config.exposed', `${others} may change ${path}, which root obeys: chown it to root and take away the write permission`, {
      path,
    });
  const { default: yaml } = await import('yaml'); // Thirty milliseconds: only for those who have a file.
  const document = yaml.parseDocument(text, { prettyErrors: true });
  const mistakes = document.errors.map(({ message }) => message.split('\n')[0]!.replace(/:$/, ''));
  if (mistakes.length > 0) throw unparsable(path, mistakes.join('\n'));
  try {
    return { path, value: document.toJS() };
  } catch (cause) {
    throw unparsable(path, wordsOf(cause)); // An alias that leads nowhere is only noticed here.
  }
}

/** The file that is read, else the one that a person would look for first. */
export async function configPath(named: string | undefined, from: string, isRoot: boolean): Promise<string> {
  if (named !== undefined) return resolve(from, named);
  return (await findUpward(from)) ?? (isRoot ? `/etc/dbkit/${NAME}` : join(resolve(from), NAME));
}

const unparsable = (path: string, why: string): DbkitError =>
  new DbkitError('config.invalid', `${path}: ${why}`, { hint: 'correct the file; `dbkit config check` checks it again' });

async function whoElseMayWrite(path: string): Promise<string | undefined> {
  const { uid, mode } = await stat(path);
  return (mode & 0o002) !== 0 ? 'everybody' : uid !== 0 ? `uid ${uid}` : undefined;
}

async function findUpward(from: string): Promise<string | undefined> {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    if (await isFile(join(directory, NAME))) return join(directory, NAME);
    if (directory === dirname(directory)) break;
  }
  return (await isFile(`/etc/dbkit/${NAME}`)) ? `/etc/dbkit/${NAME}` : undefined;
}

const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isFile() ?? false;

/**
 * The table's variables that are set, each from NAME or from the file that NAME_FILE names; both is a mistake, as in the official image.
 * Mistakes are returned, so that all of them are reported at once.
 */
export async function readEnvironment(
  variables: Readonly<Record<string, string | undefined>>,
): Promise<Required<Pick<Layers, 'environment' | 'problems'>>> {
  const found: { name: string; text: string; from: Origin }[] = [];
  const problems: string[] = [];
  for (const name of Object.keys(environment)) {
    const text = variables[name] || undefined; // Empty means unset, as Compose and Kubernetes leave it.
    const file = variables[`${name}_FILE`] || undefined;
    if (text !== undefined && file !== undefined)
      problems.push(`both ${name} and ${name}_FILE are set (but are exclusive): unset one of them`);
    else if (text !== undefined) found.push({ name, text, from: { kind: 'environment', variable: name } });
    else if (file !== undefined) {
      const secret = await readFile(file, 'utf8').catch((cause: unknown) => {
        problems.push(`${name}_FILE names ${file}, which cannot be read (${errnoOf(cause)}): mount the secret there, or unset it`);
      });
      if (secret !== undefined)
        found.push({ name, text: secret.replace(/\r?\n$/, ''), from: { kind: 'secret-file', path: file, variable: `${name}_FILE` } });
    }
  }
  return { environment: found, problems };
}
