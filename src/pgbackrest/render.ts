import { join } from 'node:path';
import type { PgbackrestSettings } from '../config/pgbackrest-settings.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Secret } from '../kernel/secret.ts';
import { has, type Version } from './features.ts';

/** Folders of pgBackRest below dbkit's state: nothing of it lies in /tmp or /etc, where it would be by default. */
export interface Places {
  readonly folder: string;
  readonly file: string;
  readonly lock: string;
  readonly spool: string;
  readonly log: string;
  /** Of restores, which fetch WAL beside a server that sends it. */
  readonly fetching: string;
}

export function placesIn(stateDir: string): Places {
  const folder = join(stateDir, 'pgbackrest');
  const below = (name: string): string => join(folder, name);
  return {
    folder,
    file: below('pgbackrest.conf'),
    lock: below('lock'),
    spool: below('spool'),
    log: below('log'),
    fetching: below('fetching'),
  };
}

/** The secrets of the settings, read now. */
export interface Secrets {
  readonly accessKeyId?: Secret | undefined;
  readonly secretAccessKey?: Secret | undefined;
  readonly sessionToken?: Secret | undefined;
  readonly cipherPass?: Secret | undefined;
}

export interface Rendered {
  readonly settings: PgbackrestSettings;
  /** Where the repository is when the settings name none. */
  readonly backupDir: string;
  readonly places: Places;
  readonly server: { readonly dataDir: string; readonly socketDir: string; readonly port: number; readonly superuser: string };
  readonly secrets: Secrets;
  readonly version: Version;
}

export const repositoryOf = ({ settings: { repository }, backupDir }: Pick<Rendered, 'settings' | 'backupDir'>) =>
  repository ?? ({ type: 'directory', path: join(backupDir, 'pgbackrest') } as const);

type Line = readonly [name: string, value: string | number | boolean | undefined];

/** Pure. The text of pgbackrest.conf; it holds secrets. Throws `config.invalid` for a value that is not one line. */
export function renderConfig(input: Rendered): string {
  const { settings, places, server } = input;
  const section = (name: string, lines: readonly Line[]): string =>
    [`[${name}]`, ...lines.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${textOf(key, value)}`]))].join('\n');
  return `${[
    '# Written by dbkit at every use; change dbkit.yaml instead. It holds secrets.',
    section('global', [
      ...repositoryLines(input),
      ['repo1-bundle', settings.bundle],
      ['repo1-block', settings.bundle && settings.block && has(input.version, 'block-incremental') ? true : undefined],
      ['compress-type', settings.compress],
      ['process-max', settings.processes],
      ['archive-async', settings.async],
      ['spool-path', places.spool],
      ['lock-path', places.lock],
      ['log-path', places.log],
      ['log-level-file', 'off'],
      ['log-level-console', 'off'],
      ['log-level-stderr', 'error'],
    ]),
    section('global:backup', [
      ['start-fast', true],
      ['archive-copy', true], // A backup comes up by itself, even where the archive is lost.
      ['expire-auto', false], // Retention is dbkit's, with a reason for each.
    ]),
    section(settings.stanza, [
      ['pg1-path', server.dataDir],
      ['pg1-socket-path', server.socketDir],
      ['pg1-port', server.port],
      ['pg1-user', server.superuser],
    ]),
  ].join('\n')}\n`;
}

function repositoryLines(input: Rendered): readonly Line[] {
  const { secrets } = input;
  const repository = repositoryOf(input);
  const cipher: readonly Line[] =
    secrets.cipherPass === undefined
      ? []
      : [
          ['repo1-cipher-type', 'aes-256-cbc'],
          ['repo1-cipher-pass', secrets.cipherPass.reveal()],
        ];
  if (repository.type === 'directory') return [['repo1-type', 'posix'], ['repo1-path', repository.path], ...cipher];
  const { bucket, endpoint, region, prefix, pathStyle = endpoint !== undefined, caFile } = repository;
  const url = endpoint === undefined ? undefined : new URL(endpoint);
  return [
    ['repo1-type', 's3'],
    ['repo1-path', `/${prefix}`.replace(/(.)\/$/, '$1')],
    ['repo1-s3-bucket', bucket],
    ['repo1-s3-region', region],
    ['repo1-s3-endpoint', url?.hostname ?? `s3.${region}.amazonaws.com`],
    ['repo1-storage-port', url?.port || undefined],
    ['repo1-storage-ca-file', caFile],
    ['repo1-s3-uri-style', pathStyle ? 'path' : 'host'],
    ['repo1-s3-key', secrets.accessKeyId?.reveal()],
    ['repo1-s3-key-secret', secrets.secretAccessKey?.reveal()],
    ['repo1-s3-token', secrets.sessionToken?.reveal()],
    ...cipher,
  ];
}

/** Whoever could put a line break into a value could set any other option. */
function textOf(name: string, value: string | number | boolean): string {
  const text = typeof value === 'boolean' ? (value ? 'y' : 'n') : String(value);
  if (text !== '' && !/[\n\r\0]/.test(text) && text === text.trim()) return text;
  throw new DbkitError('config.invalid', `the value for ${name} of pgBackRest is not one line without spaces around it`, {
    hint: 'look at the settings below `pgbackrest:`, and at the files with its secrets',
  });
}
