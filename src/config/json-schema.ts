import { toJsonSchema } from '@valibot/to-json-schema';
import { configSchema } from './config.ts';

/** JSON Schema (draft-07) of dbkit.yaml. What a schema cannot say (instances, transformations) is left to `dbkit config check`. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = toJsonSchema(configSchema, { errorMode: 'ignore', typeMode: 'input' });
  return { ...schema, title: 'dbkit.yaml' };
}
