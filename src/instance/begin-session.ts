import { DbkitError } from '../kernel/errors.ts';
import type { Client } from './connection.ts';

/** Where somebody answers, and what is known of him. */
interface Answering {
  readonly host: string;
  readonly port: number;
  /** TLS has proven whose the server is. */
  readonly isProven: boolean;
  /** libpq's require_auth: names between commas, each with a ! before it for all but these. */
  readonly requireAuth: string | undefined;
}

type Method = 'password' | 'md5' | 'scram-sha-256' | 'none';

/** The driver's events, and libpq's names. SCRAM counts once the server has proven that it knows the password, too. */
const asks = {
  authenticationCleartextPassword: 'password',
  authenticationMD5Password: 'md5',
  authenticationSASLFinal: 'scram-sha-256',
} as const satisfies Record<string, Method>;

/** Pure. Without a wish anything but the password itself, which is for a server that is proven. */
export function isAllowed(method: Method, { requireAuth, isProven }: Pick<Answering, 'requireAuth' | 'isProven'>): boolean {
  if (requireAuth === undefined) return method !== 'password' || isProven;
  const names = requireAuth.split(',').map((name) => name.trim());
  return names.every((name) => name.startsWith('!')) ? !names.includes(`!${method}`) : names.includes(method);
}

/**
 * Begins the session. Over TCP anybody may answer, and ask for the password in clear text: the driver would say it. Rejects with `recovery.refused`
 * then, and for a server that asks in another way than `requireAuth` has. Whose a socket is, is looked at elsewhere (socket-owner.ts).
 */
export async function beginSession(client: Client, answering: Answering): Promise<void> {
  const asked = new Set<Method>();
  const requireAllowed = (methods: Iterable<Method>): void => {
    for (const method of methods) if (!isAllowed(method, answering)) throw refusal(method, answering);
  };
  if (!answering.host.startsWith('/')) {
    const connection = client.connection as Client['connection'] & { password(secret: string): void };
    for (const [event, method] of Object.entries(asks)) connection.on(event, () => asked.add(method));
    const say = connection.password.bind(connection);
    connection.password = (secret) => {
      try {
        requireAllowed(asked); // All that was asked for: a second question may come before the first is answered.
        say(secret);
      } catch (cause) {
        connection.emit('error', cause);
      }
    };
  }
  await entered(client);
  if (!answering.host.startsWith('/')) requireAllowed(asked.size === 0 ? ['none'] : asked);
}

const words: Readonly<Record<Method, string>> = {
  password: 'the password in clear text',
  md5: 'an md5 hash of the password',
  'scram-sha-256': 'scram-sha-256',
  none: 'no password',
};

function refusal(method: Method, { host, port, requireAuth }: Answering): DbkitError {
  const asked = `the server at ${host}:${port} asks for ${words[method]}`;
  return requireAuth === undefined
    ? new DbkitError('recovery.refused', `${asked}, and nothing proves whose server it is; the password was not sent`, {
        hint: 'let pg_hba.conf ask with scram-sha-256, or connect with sslmode=verify-full; to send it all the same, set PGREQUIREAUTH=password',
      })
    : new DbkitError('recovery.refused', `${asked}, and require_auth is ${requireAuth}`, {
        hint: 'correct require_auth of the URL, PGREQUIREAUTH or postgresql.requireAuth, or the method in pg_hba.conf',
      });
}

/** The driver forgets whoever waits for a session that is cut while it begins (pg's client.js: `if (!this._ending)`); that wait had no end. */
async function entered(client: Client): Promise<void> {
  const entering = client.connect();
  let lost = (): void => undefined;
  const gone = new Promise<never>((_resolve, reject) => {
    lost = () => reject(new Error('the connection was closed before the session began'));
    client.connection.once('end', lost);
  });
  try {
    await Promise.race([entering, gone]);
  } finally {
    client.connection.off('end', lost);
  }
}
