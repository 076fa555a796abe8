import { Secret } from '../kernel/secret.ts';
import type { LoadedConfig } from './layers.ts';
import { type Origin, originWords } from './origin.ts';

export interface ConfigReport {
  /** Values as they are typed in the file; secrets are '[secret]'. */
  readonly settings: readonly { readonly path: string; readonly value: unknown; readonly origin: string }[];
}

const wordsAt = (origin: Origin | undefined): string => (origin === undefined ? 'default' : originWords(origin));
const HIDDEN = '[secret]';
/** Names under `services.*.env` whose values nobody wants in a bug report. */
const looksSecret = /pass|secret|token|credential|private|api_?key/i;

/** Every setting with its value (secrets do not print) and its origin. */
export function showConfig({ config, origins }: LoadedConfig): ConfigReport {
  const settings: { path: string; value: unknown; origin: string }[] = [];
  const visit = (value: unknown, path: string): void => {
    if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype && Object.keys(value).length > 0) {
      for (const [key, item] of Object.entries(value)) visit(item, path ? `${path}.${key}` : key);
    } else if (value !== undefined) settings.push({ path, value: printable(path, value), origin: wordsAt(origins.get(path)) });
  };
  visit(config, '');
  return { settings };
}

const printable = (path: string, value: unknown): unknown => {
  const inEnvironment = /^services\.[^.]+\.env\.(.+)$/.exec(path)?.[1];
  return value instanceof Secret || (inEnvironment !== undefined && looksSecret.test(inEnvironment)) ? HIDDEN : value;
};
