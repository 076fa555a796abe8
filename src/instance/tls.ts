import { readFile } from 'node:fs/promises';
import type { SslMode } from '../config/config.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';

interface Where {
  readonly socketDir: string;
  readonly sslMode?: SslMode | undefined;
  readonly sslRootCert?: string | undefined;
}

/** Its certificate is its owner's own as a rule; without TLS it would prove less. */
const UNPROVEN = { rejectUnauthorized: false } as const;

const NO_NAME = (): undefined => undefined;

/** libpq, "SSL Support", the table of sslmode; a socket has no TLS. */
export async function waysOf({ socketDir, sslMode = 'allow', sslRootCert }: Where): Promise<readonly Tls[]> {
  if (socketDir.startsWith('/')) return [false];
  const proven = async () => ({ rejectUnauthorized: true, ...(sslRootCert === undefined ? {} : { ca: await authorities(sslRootCert) }) });
  const provenCa = async () => ({ ...(await proven()), checkServerIdentity: NO_NAME });
  // Since libpq 16: those that the machine trusts, here Node's. Anybody has a certificate of these, so only the name proves something.
  if (sslRootCert === 'system' && sslMode !== 'disable') return [{ rejectUnauthorized: true }];
  switch (sslMode) {
    case 'disable':
      return [false];
    case 'allow':
      return [false, UNPROVEN];
    case 'prefer':
      return [UNPROVEN, false];
    case 'require': // With a root certificate it is verify-ca, as libpq has it, "for backwards compatibility".
      return [sslRootCert === undefined ? UNPROVEN : await provenCa()];
    case 'verify-ca':
      return [await provenCa()];
    case 'verify-full':
      return [await proven()];
  }
}

/** Pure. Whose the server is has been proven: by its name, or by an authority that somebody chose. Of Node's own anybody has a certificate. */
export const isProof = (tls: Tls): boolean => tls !== false && tls.rejectUnauthorized && (tls.ca ?? tls.checkServerIdentity) !== NO_NAME;

/** Pure. Every way that `waysOf` has for it is a proof. */
export const provesServer = ({ sslMode = 'allow', sslRootCert }: Pick<Where, 'sslMode' | 'sslRootCert'>): boolean =>
  sslMode === 'verify-full' ||
  (sslRootCert === 'system' ? sslMode !== 'disable' : sslRootCert !== undefined && ['require', 'verify-ca'].includes(sslMode));

function authorities(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new DbkitError('config.invalid', `sslrootcert ${file} cannot be read (${errnoOf(cause) ?? wordsOf(cause)})`, {
      hint: 'name a file of certificates that this user may read',
      cause,
    });
  });
}

/** As node:tls takes it; false: none. */
export type Tls = false | { readonly rejectUnauthorized: boolean; readonly ca?: string; readonly checkServerIdentity?: () => undefined };
