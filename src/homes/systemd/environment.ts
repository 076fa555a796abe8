import type { Config } from '../../config/config.ts';
import { environment } from '../../config/environment.ts';
import { Secret } from '../../kernel/secret.ts';

/**
 * What a unit must be told to see the same configuration as this call: what came from flags and from the environment, which a unit has none of,
 * and the configuration file, which is looked for upward from a working directory that a unit does not share. Pure.
 */
export function unitEnvironment(config: Config, origins: ReadonlyMap<string, string>): readonly (readonly [name: string, value: string])[] {
  const given = new Map<string, string>();
  const file = [...origins.values()].map((origin) => /^file (\S.*[^)])$/.exec(origin)?.[1]).find((path) => path !== undefined);
  if (file !== undefined) given.set('DBKIT_CONFIG', file);
  const told = new Set<string>();
  for (const [name, [path]] of Object.entries(environment)) {
    if (told.has(path) || !isTransient(origins.get(path))) continue;
    told.add(path);
    given.set(name, textOf(path.split('.').reduce((at: unknown, key) => (at as Record<string, unknown>)[key], config)));
  }
  return [...given];
}

/** A value read from NAME_FILE bears its file's name and the variable's in brackets. */
const isTransient = (origin: string | undefined): boolean =>
  origin !== undefined && (/^(flag|environment) /.test(origin) || (origin.startsWith('file ') && origin.endsWith(')')));

const textOf = (value: unknown): string =>
  value instanceof Secret ? value.reveal() : Array.isArray(value) ? value.join(',') : String(value);
