import { DbkitError, type FailureCode, wordsOf } from '../kernel/errors.ts';

interface Answer {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const statusOf = (cause: unknown): number | undefined => (cause as Answer | undefined)?.$metadata?.httpStatusCode;

export const isStatus = (cause: unknown, status: number): boolean => statusOf(cause) === status;

interface Row {
  readonly id: string;
  readonly when: (answer: { readonly status: number | undefined; readonly name: string }) => boolean;
  readonly then: FailureCode;
  readonly words: string;
}

/** The meaning of a store's answers (Amazon S3, "Error responses"; Ceph's quota is a 403). First match wins. */
export const s3Rows: readonly Row[] = [
  {
    id: 'full',
    when: ({ status, name }) => status === 507 || /^(Quota|Storage)/.test(name) || name === 'XMinioStorageFull',
    then: 'volume.full',
    words: 'free some space there, or raise the quota',
  },
  { id: 'no-bucket', when: ({ name }) => name === 'NoSuchBucket', then: 'store.denied', words: 'make the bucket, or name another' },
  {
    id: 'clock',
    when: ({ name }) => name === 'RequestTimeTooSkewed',
    then: 'store.denied',
    words: 'set the clock of this machine, it differs from the store’s',
  },
  {
    id: 'credentials',
    when: ({ status }) => status === 401 || status === 403,
    then: 'store.denied',
    words: 'look at the credentials, and at what the bucket allows them',
  },
  { id: 'elsewhere', when: ({ status }) => status === 301 || status === 307, then: 'store.denied', words: 'set the bucket’s own region' },
  { id: 'no-answer', when: () => true, then: 'store.unavailable', words: 'check that the store is up and can be reached, then try again' },
];

export function explain(place: string, cause: unknown): unknown {
  if (cause instanceof DbkitError) return cause;
  const { name = '' } = cause as Answer;
  const row = s3Rows.find(({ when }) => when({ status: statusOf(cause), name }))!;
  const said = statusOf(cause) === undefined ? wordsOf(cause) : `${statusOf(cause)} ${name}`;
  return new DbkitError(row.then, `${place}: ${said}`, { hint: row.words, cause });
}
