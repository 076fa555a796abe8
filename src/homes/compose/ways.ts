import type { Row } from '../../kernel/reasons.ts';
import type { PostgresImage } from './images.ts';

/** 'entrypoint': dbkit runs the server of the service. 'beside': dbkit in a container of its own, with a connection. */
export type Way = 'entrypoint' | 'beside';

/** A service of a compose file that runs PostgreSQL, as it is written. */
export interface ServiceFacts {
  readonly image: PostgresImage;
  /** All of the service is on one line, in braces. */
  readonly isInBraces: boolean;
  /** `image` or `volumes` is an anchor's, or merged from a map that other services merge too. */
  readonly shares: 'image' | 'volumes' | null;
  readonly hasEntrypoint: boolean;
  readonly hasBuild: boolean;
  /** The first word of `command` that is no setting of the server; null where there is none. */
  readonly strangeWord: string | null;
}

const MAJOR_MIN = 13;
const MAJOR_MAX = 18;

/** First match wins: may dbkit become the ENTRYPOINT of this service? */
const rows = [
  {
    id: 'compose-bitnami',
    when: ({ image }) => image.family === 'bitnami',
    then: 'tell',
    words: 'Bitnami’s image keeps its configuration in itself, not with the data, and starts the server by scripts of its own',
  },
  {
    id: 'compose-other-major',
    when: ({ image: { major } }) => major !== null && (major < MAJOR_MIN || major > MAJOR_MAX),
    then: 'tell',
    words: 'dbkit knows PostgreSQL 13 to 18',
  },
  {
    id: 'compose-own-build',
    when: ({ hasBuild }) => hasBuild,
    then: 'tell',
    words: 'the service is built from a Dockerfile of the project’s own',
  },
  {
    id: 'compose-own-entrypoint',
    when: ({ hasEntrypoint }) => hasEntrypoint,
    then: 'tell',
    words: 'the service has an `entrypoint` of its own, which would start the server past dbkit',
  },
  {
    id: 'compose-own-command',
    when: ({ strangeWord }) => strangeWord !== null,
    then: 'tell',
    words: 'its `command` is more than settings of the server: {strangeWord}',
  },
  {
    id: 'compose-shared',
    when: ({ shares }) => shares !== null,
    then: 'tell',
    words: 'its `{shares}` comes from an anchor that other services use too, or can use: write it into the service itself first',
  },
  {
    id: 'compose-in-braces',
    when: ({ isInBraces }) => isInBraces,
    then: 'tell',
    words: 'the service is written in braces: write it on lines of its own first',
  },
  {
    id: 'compose-may-be-entrypoint',
    when: () => true,
    then: 'edit',
    words: 'the image stays the base, with its data, its owner and its names',
  },
] as const satisfies readonly Row<ServiceFacts, 'tell' | 'edit'>[];
export type EntrypointRowId = (typeof rows)[number]['id'];
export const entrypointRows: readonly (Row<ServiceFacts, 'tell' | 'edit'> & { readonly id: EntrypointRowId })[] = rows;
