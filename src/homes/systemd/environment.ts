import type { Config } from '../../config/config.ts';
import { environment } from '../../config/environment.ts';
import type { Origin } from '../../config/origin.ts';
import { Secret } from '../../kernel/secret.ts';

/**
 * The settings that a unit needs to see the same configuration as this call: what came from flags and from the environment, which a unit has none of,
 * and the configuration file, which is looked for upward from a working directory that a unit does not share. Pure.
 */
export function unitEnvironment(config: Config, origins: ReadonlyMap<string, Origin>): readonly (readonly [name: string, value: string])[] {
  const given = new Map<string, string>();
  const file = [...origins.values()].find((origin) => origin.kind === 'file');
  if (file !== undefined) given.set('DBKIT_CONFIG', file.path);
  const told = new Set<string>();
  for (const [name, [path]] of Object.entries(environment)) {
    if (told.has(path) || !isTransient(origins.get(path))) continue;
    told.add(path);
    given.set(name, textOf(path.split('.').reduce((at: unknown, key) => (at as Record<string, unknown>)[key], config)));
  }
  return [...given];
}

/** A unit has the configuration file, and nothing else of this call. */
const isTransient = (origin: Origin | undefined): boolean => origin !== undefined && origin.kind !== 'file';

const textOf = (value: unknown): string =>
  value instanceof Secret ? value.reveal() : Array.isArray(value) ? value.join(',') : String(value);

/** An EnvironmentFile= (systemd.exec(5)): no specifiers there, and quotes around what a shell would also need them for. */
export function renderEnvironment(variables: readonly (readonly [name: string, value: string])[]): string {
  const lines = variables.map(([name, value]) => {
    const isPlain = /^[\w@%+=:,./-]+$/.test(value);
    return `${name}=${isPlain ? value : `"${value.replace(/["\\$`]/g, '\\$&')}"`}`;
  });
  return [
    '# What the units of `dbkit systemd install` know, besides dbkit.yaml. Only root may read it: secrets may stand here.',
    '# It is never written over. DATABASE_USERNAME, DATABASE_PASSWORD and DATABASE_NAME are the application’s.',
    ...lines,
    '',
  ].join('\n');
}
