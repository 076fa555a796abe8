import type { LoadedConfig } from '../core/config-layers.ts';

export interface ConfigReport {
  readonly settings: readonly { readonly path: string; readonly value: string; readonly origin: string }[];
}

/** Every setting with its value (secrets do not print) and its origin. */
export function showConfig({ config, origins }: LoadedConfig): ConfigReport {
  const settings: { path: string; value: string; origin: string }[] = [];
  const visit = (value: unknown, path: string): void => {
    if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype && Object.keys(value).length > 0) {
      for (const [key, item] of Object.entries(value)) visit(item, path ? `${path}.${key}` : key);
    } else settings.push({ path, value: printed(value), origin: origins.get(path) ?? 'default' });
  };
  visit(config, '');
  return { settings };
}

const printed = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'object' ? String(JSON.stringify(value)).replace(/^"(.*)"$/, '$1') : String(value);
