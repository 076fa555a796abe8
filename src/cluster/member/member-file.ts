import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';

/** This machine's member, as its patroni.yml says. */
export interface MemberFile {
  readonly name: string;
  readonly scope: string;
  /** Its REST API as this machine reaches it, without a slash at its end. */
  readonly api: string;
  readonly dataDir: string;
}

const text = v.pipe(v.string(), v.nonEmpty());
const memberFile = v.looseObject({
  name: v.optional(text),
  scope: v.optional(text),
  restapi: v.optional(v.looseObject({ listen: v.optional(text), connect_address: v.optional(text), certfile: v.optional(text) }), {}),
  postgresql: v.optional(v.looseObject({ data_dir: v.optional(text) }), {}),
});

/**
 * Reads a member's file, with Patroni's variables above it ("Environment Configuration Settings" of its documentation). Rejects with
 * `config.invalid` where it cannot be read, or does not say what a supervisor must know.
 */
export async function readMemberFile(path: string, environment: Readonly<Record<string, string | undefined>>): Promise<MemberFile> {
  const { default: yaml } = await import('yaml');
  let file: v.InferOutput<typeof memberFile>;
  try {
    file = v.parse(memberFile, yaml.parse(await readFile(path, 'utf8'), { version: '1.1' }));
  } catch (cause) {
    throw new DbkitError('config.invalid', `${path} is not a file of Patroni: ${wordsOf(cause).split('\n')[0]}`, {
      hint: 'correct services.patroni.config, or the file; `dbkit ha render` makes one',
    }); // Neither more of it nor its cause: they show lines of the file, which holds passwords.
  }
  const { restapi } = file;
  const said = {
    name: environment['PATRONI_NAME'] ?? file.name,
    scope: environment['PATRONI_SCOPE'] ?? file.scope,
    listen:
      environment['PATRONI_RESTAPI_LISTEN'] ?? restapi.listen ?? environment['PATRONI_RESTAPI_CONNECT_ADDRESS'] ?? restapi.connect_address,
    dataDir: environment['PATRONI_POSTGRESQL_DATA_DIR'] ?? file.postgresql.data_dir,
  };
  const { name, scope, listen, dataDir } = said;
  if (!name || !scope || !listen || !dataDir)
    throw new DbkitError('config.invalid', `${path} lacks one of name, scope, restapi.listen and postgresql.data_dir`, {
      hint: 'add it there; `dbkit ha render` makes a whole file',
    });
  const protocol = restapi.certfile === undefined ? 'http' : 'https';
  return { name, scope, api: `${protocol}://${listen.replace(/^(0\.0\.0\.0|\*|\[::\]):/, '127.0.0.1:')}`, dataDir };
}
