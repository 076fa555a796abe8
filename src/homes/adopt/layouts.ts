import type { Row } from '../../kernel/reasons.ts';

/** A data directory as it lies there. */
export interface LayoutFacts {
  readonly dataDir: string;
  readonly uid: number;
  /** The main configuration file, where it is not in the directory. */
  readonly configFile: string | null;
  /** dbkit's own folder is in it. */
  readonly isKnown: boolean;
}

/** First match wins. The images' folders are of their documentation; Alpine's user is of its package (postgresql-common, uid 70). */
const rows = [
  { id: 'dbkits-own', when: ({ isKnown }) => isKnown, then: 'nothing to mind', words: 'dbkit has worked on it before' },
  {
    id: 'debian-cluster',
    when: ({ configFile }) => configFile?.startsWith('/etc/postgresql/') ?? false,
    then: 'nothing to mind',
    words: 'a cluster of Debian’s, whose configuration is in {configFile} and stays there',
  },
  {
    id: 'configuration-outside',
    when: ({ configFile }) => configFile !== null,
    then: 'nothing to mind',
    words: 'its configuration is in {configFile}, outside the directory, and stays there',
  },
  {
    id: 'alpine-image',
    when: ({ uid }) => uid === 70,
    then: 'the programs of another C library sort text by other rules: after the first start check `dbkit health --probe collations`, and reindex what it names',
    words: 'made by an Alpine image (user 70, musl)',
  },
  {
    id: 'official-image-18',
    when: ({ dataDir }) => /\/postgresql\/\d+\/docker$/.test(dataDir),
    then: 'nothing to mind',
    words: 'the layout of the official image from 18 on: one folder for each major below the volume',
  },
  {
    id: 'official-image',
    when: ({ dataDir, uid }) => uid === 999 || dataDir === '/var/lib/postgresql/data',
    then: 'nothing to mind',
    words: 'the layout of the official image up to 17',
  },
  {
    id: 'bitnami-image',
    when: ({ dataDir, uid }) => uid === 1001 || /\/bitnami\/postgresql\/data$/.test(dataDir),
    then: 'that image writes its configuration at every start to /opt/bitnami/postgresql/conf: set what you need of it in this directory’s postgresql.conf',
    words: 'the layout of Bitnami’s image',
  },
  {
    id: 'postgres-app',
    when: ({ dataDir }) => /\/Postgres\/var-\d+$/.test(dataDir),
    then: 'stop the server in Postgres.app before dbkit starts it',
    words: 'a server of Postgres.app',
  },
  {
    id: 'homebrew',
    when: ({ dataDir }) => /\/var\/postgres(ql@\d+)?$/.test(dataDir),
    then: 'stop it first: `brew services stop postgresql`',
    words: 'a cluster of Homebrew’s',
  },
  { id: 'plain-directory', when: () => true, then: 'nothing to mind', words: 'a data directory with its configuration in it' },
] as const satisfies readonly Row<LayoutFacts, string>[];
export type LayoutId = (typeof rows)[number]['id'];
export const layoutRows: readonly (Row<LayoutFacts, string> & { readonly id: LayoutId })[] = rows;

/** `then` where there is nothing that a person should do. */
export const NOTHING_TO_MIND = 'nothing to mind';
