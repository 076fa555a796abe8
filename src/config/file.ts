import { constants } from 'node:fs';
import { lstat, open, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { environment } from './environment.ts';
import type { Layers } from './layers.ts';
import type { Origin } from './origin.ts';
import { type FileFacts, judgeFile, programsIn, UNTRUSTED } from './trust.ts';
import { isTrusted } from './trusted-files.ts';

const NAME = 'dbkit.yaml';
const ETC = `/etc/dbkit/${NAME}`;

type Needs = Pick<System, 'files' | 'self' | 'rights'>;

/**
 * The configuration file: the one that was named, else the nearest dbkit.yaml upward from `from`, else /etc/dbkit/dbkit.yaml. Undefined
 * when there is none. Rejects with `config.invalid`, with line and column, when it cannot be read, and with `config.untrusted` when somebody else
 * could have written it (config/trust.ts): it names programs and folders, and they would be used with the rights of whoever typed the command.
 */
export async function readConfigFile(
  named: string | undefined,
  from: string,
  needs: Needs,
  { inDevContainer = false }: { inDevContainer?: boolean } = {},
): Promise<Layers['file']> {
  const found = named === undefined ? await findUpward(from) : undefined;
  const path = named === undefined ? (found ?? (await etcFile())) : resolve(from, named);
  if (path === undefined) return undefined;
  const text = await readWhole(path);
  const how = found === undefined ? 'named' : 'found';
  const stranger = needs.rights.whoElseMayWrite(path, { onReadOnlyMount: how === 'named' });
  const facts = { path, how, stranger, inDevContainer, trusted: await isTrusted(path, text, needs) } as const;
  if (stranger) refuseUntrusted({ ...facts, inRepository: false, programs: [] }); // Not even parsed.
  const value = await parse(path, text);
  refuseUntrusted({ ...facts, inRepository: await isInRepository(path), programs: programsIn(value) });
  return { path, value };
}

function refuseUntrusted(facts: FileFacts): void {
  const { verdict, words } = judgeFile(facts);
  if (verdict === 'refuse')
    throw new DbkitError(UNTRUSTED, words, {
      hint: `look at it, then allow exactly what it says now: dbkit config trust ${facts.path}; nothing was changed`,
    });
}

async function readWhole(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    // A pipe would wait for a writer.
    const why = errnoOf(cause) === 'ENOENT' ? 'does not exist' : `cannot be read: ${wordsOf(cause)}`;
    throw new DbkitError('config.invalid', `the configuration file ${path} ${why}`, { hint: 'correct --config or DBKIT_CONFIG', cause });
  });
  try {
    if ((await file.stat()).isDirectory()) throw unparsable(path, 'it is a directory');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

async function parse(path: string, text: string): Promise<unknown> {
  const { default: yaml } = await import('yaml'); // Thirty milliseconds: only for those who have a file.
  const document = yaml.parseDocument(text, { prettyErrors: true });
  const mistakes = document.errors.map(({ message }) => message.split('\n')[0]!.replace(/:$/, ''));
  if (mistakes.length > 0) throw unparsable(path, mistakes.join('\n'));
  try {
    return document.toJS();
  } catch (cause) {
    throw unparsable(path, wordsOf(cause)); // An alias that leads nowhere is only noticed here.
  }
}

/** A `.git` in its folder or above: a work tree, or one that somebody means to look like one. */
async function isInRepository(path: string): Promise<boolean> {
  for (let directory = dirname(await realpath(path)); ; directory = dirname(directory)) {
    if ((await lstat(join(directory, '.git')).catch(() => undefined)) !== undefined) return true;
    if (directory === dirname(directory)) return false;
  }
}

/** The file that is read, else the one that a person would look for first. */
export async function configPath(named: string | undefined, from: string, isRoot: boolean): Promise<string> {
  if (named !== undefined) return resolve(from, named);
  return (await findUpward(from)) ?? (await etcFile()) ?? (isRoot ? ETC : join(resolve(from), NAME));
}

const unparsable = (path: string, why: string): DbkitError =>
  new DbkitError('config.invalid', `${path}: ${why}`, { hint: 'correct the file; `dbkit config check` checks it again' });

async function findUpward(from: string): Promise<string | undefined> {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    if (await isFile(join(directory, NAME))) return join(directory, NAME);
    if (directory === dirname(directory)) return undefined;
  }
}

const etcFile = async (): Promise<string | undefined> => ((await isFile(ETC)) ? ETC : undefined);

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
