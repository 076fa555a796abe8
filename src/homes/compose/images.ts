/** A kind of image that runs PostgreSQL in a container of its own; the names are those of the registries. */
export interface PostgresImage {
  readonly family: 'official' | 'postgis' | 'pgvector' | 'timescale' | 'bitnami';
  /** Null where the tag does not say it. */
  readonly major: number | null;
  /** Built on Alpine: musl, and user 70 instead of 999. */
  readonly alpine: boolean;
}

const families: readonly (readonly [name: RegExp, family: PostgresImage['family'], alpine: boolean])[] = [
  [/^(?:[\w.-]+(?::\d+)?\/)*?(?:docker\/)?(?:library\/)?postgres$/, 'official', false],
  [/(?:^|\/)(?:postgis|imresamu)\/postgis(?:-arm64)?$/, 'postgis', false],
  [/(?:^|\/)pgvector\/pgvector$/, 'pgvector', false],
  [/(?:^|\/)timescale\/timescaledb$/, 'timescale', true],
  [/(?:^|\/)bitnami(?:legacy|secure)?\/postgresql$/, 'bitnami', false],
];

/** The image as Compose would see it where none of its variables is set: `${NAME:-16}` is 16 (Compose, "Interpolation"). */
const withDefaults = (image: string): string => image.replace(/\$\{\w+(?::?-([^}]*))?\}|\$\w+/g, (_all, preset?: string) => preset ?? '');

/** Undefined for an image that is not known to hold PostgreSQL. The major is the tag's first number, or the one behind `pg`. */
export function postgresImage(image: string): PostgresImage | undefined {
  const [name, tag = ''] = split(withDefaults(image));
  const known = families.find(([pattern]) => pattern.test(name));
  if (known === undefined) return undefined;
  const digits = /(?:^|-)pg(\d{2})\b/.exec(tag)?.[1] ?? /^(\d{2})(?:\D|$)/.exec(tag)?.[1];
  return { family: known[1], major: digits === undefined ? null : Number(digits), alpine: known[2] || /alpine/.test(tag) };
}

/** A port of a registry has a colon too; a digest is no tag. */
function split(image: string): [name: string, tag: string | undefined] {
  const [, name, tag] = /^(.*?)(?::([^:/@]*))?(?:@.*)?$/.exec(image.trim()) ?? [];
  return [name ?? '', tag];
}
