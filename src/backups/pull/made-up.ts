import { DbkitError } from '../../kernel/errors.ts';
import type { Fake, Rule } from './rules.ts';

/** A column's type, as pg_type names its kind: 'S' text, 'N' number, 'D' date, … */
export interface ColumnType {
  readonly name: string;
  readonly category: string;
  /** The most characters that it takes; null: any number. */
  readonly lengthMax: number | null;
}

const first = [
  'Ada',
  'Bela',
  'Chloe',
  'Deniz',
  'Emil',
  'Fatima',
  'Goran',
  'Hana',
  'Ivo',
  'Jana',
  'Kofi',
  'Lea',
  'Mira',
  'Noah',
  'Olga',
  'Pavel',
];
const last = [
  'Adler',
  'Brandt',
  'Costa',
  'Duval',
  'Ekman',
  'Farkas',
  'Green',
  'Haas',
  'Ito',
  'Jansen',
  'Kaya',
  'Lind',
  'Moreau',
  'Novak',
  'Ono',
  'Pires',
];
const streets = ['Birch', 'Canal', 'Elm', 'Garden', 'Hill', 'Lake', 'Mill', 'Park'];

const HEX = 16;
const DOMAIN = '@example.com';
/** Whole, so that it is a valid address, and unlike any other. */
const EMAIL_MAX = HEX + DOMAIN.length;

/**
 * Pure. The SQL of a column's new value. `hash` is SQL for 64 hexadecimal characters made of the value and of a salt that nobody learns: the same
 * value becomes the same one in every table, so joins still join. `literal` quotes. Every function bears its schema. Throws `usage.invalid` where the
 * rule makes no value of that type.
 */
export function newValue(
  rule: Rule,
  { type, hash, literal, place }: { type: ColumnType; hash: string; literal: (text: string) => string; place: string },
): string {
  if (rule.kind === 'null') return 'NULL';
  if (rule.kind === 'constant') return literal(rule.value);
  const fits = (text: string): string => (type.lengthMax === null ? text : `pg_catalog.left(${text}, ${type.lengthMax})`);
  if (type.category === 'S') return fits(rule.kind === 'hash' ? hash : fakeText(rule.fake, hash, literal, type.lengthMax ?? EMAIL_MAX));
  const made = typed(type.name, hash);
  if (made !== undefined && (rule.kind === 'hash' || matches(rule.fake, type))) return made;
  throw new DbkitError(
    'usage.invalid',
    `${place} is of the type ${type.name}, for which there is no ${rule.kind === 'hash' ? 'hash' : rule.fake}`,
    {
      hint: 'use null, or a constant; nothing was changed',
    },
  );
}

/** Digits of the hash as a number below 2^28, of the place `at`. */
const number = (hash: string, at: number): string => `('x0' || pg_catalog.substr(${hash}, ${at}, 7))::bit(32)::int`;
const oneOf = (words: readonly string[], hash: string, at: number, literal: (text: string) => string): string =>
  `(ARRAY[${words.map(literal).join(', ')}])[1 + ${number(hash, at)} % ${words.length}]`;

function fakeText(fake: Fake, hash: string, literal: (text: string) => string, lengthMax: number): string {
  const some = (length: number): string => `pg_catalog.substr(${hash}, 1, ${length})`;
  const texts: Readonly<Record<Fake, string>> = {
    name: `${oneOf(first, hash, 1, literal)} || ' ' || ${oneOf(last, hash, 9, literal)}`,
    email: `${some(Math.max(1, Math.min(lengthMax, EMAIL_MAX) - DOMAIN.length))} || '${DOMAIN}'`, // RFC 2606: nobody gets mail there.
    phone: `'+1 555 ' || pg_catalog.lpad((${number(hash, 1)} % 10000000)::text, 7, '0')`,
    address: `(1 + ${number(hash, 1)} % 200)::text || ' ' || ${oneOf(streets, hash, 9, literal)} || ' Street'`,
    ip: `'192.0.2.' || (1 + ${number(hash, 1)} % 254)::text`, // RFC 5737: nobody's.
    text: `'text ' || ${some(HEX)}`,
    number: `(${number(hash, 1)})::text`,
    date: `(date '1970-01-01' + ${number(hash, 1)} % 18000)::text`,
    uuid: uuid(hash),
  };
  return texts[fake];
}

const uuid = (hash: string): string => `pg_catalog.substr(${hash}, 1, 32)::uuid::text`;

/** A value of a type that is no text; undefined where there is none. */
function typed(name: string, hash: string): string | undefined {
  const whole = number(hash, 1);
  const values: Readonly<Record<string, string>> = {
    int2: `(${whole} % 32768)::int2`,
    int4: whole,
    int8: `(${whole}::int8 * 268435456 + ${number(hash, 9)})`,
    float4: `(${whole})::float4`,
    float8: `(${whole})::float8`,
    date: `(date '1970-01-01' + ${whole} % 18000)`,
    timestamp: `(timestamp '1970-01-01' + (${whole} % 18000) * interval '1 day')`,
    timestamptz: `(timestamptz '1970-01-01 00:00:00+00' + (${whole} % 18000) * interval '1 day')`,
    inet: `('192.0.2.' || (1 + ${whole} % 254)::text)::inet`,
    uuid: `pg_catalog.substr(${hash}, 1, 32)::uuid`,
  };
  return values[name];
}

const kinds: Readonly<Partial<Record<Fake, readonly string[]>>> = {
  number: ['int2', 'int4', 'int8', 'float4', 'float8'],
  date: ['date', 'timestamp', 'timestamptz'],
  ip: ['inet'],
  uuid: ['uuid'],
};
const matches = (fake: Fake, { name }: ColumnType): boolean => kinds[fake]?.includes(name) ?? false;

/** Pure. SQL for the hash of a column's value; `salt` is a literal. sha256 there is from 11 on. */
export const hashOf = (column: string, salt: string): string =>
  `pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(${salt} || ${column}::text, 'UTF8')), 'hex')`;
