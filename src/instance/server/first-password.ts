import type { Row } from '../../kernel/reasons.ts';

/** The facts when the application's role is made. */
export interface FirstPasswordFacts {
  /** DATABASE_PASSWORD, or a dbkit.yaml, says it. */
  readonly isGiven: boolean;
  /** listen_addresses, as the server has it or will have it. */
  readonly listens: string;
}

/** 'default' is in every manual of dbkit's; 'none' is a role that no password lets in. */
export type FirstPassword = 'configured' | 'default' | 'none';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;
const isLoopback = (address: string): boolean => LOOPBACK.test(address.trim());
const onlyLoopback = ({ listens }: FirstPasswordFacts): boolean =>
  listens
    .split(',')
    .filter((address) => address.trim() !== '')
    .every(isLoopback);

/** First match wins. The default password is for a server that nobody else can reach. */
export const firstPasswordRows = [
  { id: 'password-given', when: ({ isGiven }) => isGiven, then: 'configured', words: 'the configuration says the password' },
  { id: 'loopback-only', when: onlyLoopback, then: 'default', words: 'only this machine reaches the server' },
  {
    id: 'others-reach-it',
    when: () => true,
    then: 'none',
    words:
      'without a password, as others reach the server (listen_addresses is {listens}) and the default one is no secret: set DATABASE_PASSWORD',
  },
] as const satisfies readonly Row<FirstPasswordFacts, FirstPassword>[];
