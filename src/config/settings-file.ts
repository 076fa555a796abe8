import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import type { Document } from 'yaml';
import { DbkitError, unlessMissing, wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { configSchema } from './config.ts';
import type { SettingsFile } from './settings-file-contract.ts';

/** The lines below it show the file, which may hold secrets. */
const firstLine = (cause: unknown): string => wordsOf(cause).split('\n')[0]!.replace(/:$/, '');

/** Sets it, and reads the whole: aliases without end, and a text where a mapping is due, are the file's fault. */
function changed(document: Document, keys: readonly string[], value: unknown, path: string): unknown {
  try {
    document.setIn(keys, document.createNode(value));
    return document.toJS() ?? {};
  } catch (cause) {
    throw new DbkitError('config.invalid', `${path}: ${firstLine(cause)}`, { hint: 'correct the file; nothing was changed' });
  }
}

/** The configuration file as a thing to write to: what people wrote into it, comments included, stays as it is. */
export function createSettingsFile(
  find: () => Promise<string>,
  stateDir: string,
  { files, rights }: Pick<System, 'files' | 'rights'>,
): SettingsFile {
  return {
    async set(keys, value) {
      const { default: yaml } = await import('yaml');
      const path = await find();
      const text = (await readFile(path, 'utf8').catch(unlessMissing)) ?? '';
      const document = yaml.parseDocument(text);
      if (document.errors[0])
        throw new DbkitError('config.invalid', `${path}: ${firstLine(document.errors[0])}`, {
          hint: 'correct the file; nothing was changed',
        });
      const checked = v.safeParse(configSchema, changed(document, keys, value, path));
      if (!checked.success)
        throw new DbkitError('config.invalid', `${keys.join('.')}: ${checked.issues[0].message}`, { hint: 'nothing was changed' });
      const mode = await stat(path).then(
        (facts) => facts.mode & 0o777,
        () => 0o644,
      );
      await mkdir(dirname(path), { recursive: true });
      await files.write(path, document.toString({ lineWidth: 0 }), { mode });
      return path;
    },
    async keepSecret(name, text) {
      await files.makeDirectory(stateDir, { mode: 0o755 });
      return rights.keepSecret(stateDir, name, `${text}\n`); // Whoever watches reads it, also where root has set it up.
    },
    forgetSecret: async (file) => rights.forgetSecret(stateDir, file),
  };
}
