import * as v from 'valibot';
import { headline, plainText } from '../alert.ts';
import { channel, heard, secret, text } from '../channel.ts';

const TIMEOUT_MS = 20_000;
/** Loopback itself: a name that only begins like it is somebody else's machine. */
export const isThisMachine = (host: string): boolean => /^(localhost\.?|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);

/** One mail over SMTP; without TLS only to this machine. */
export const email = channel({
  settings: v.strictObject({
    type: v.literal('email'),
    host: text,
    port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)), 587),
    /** TLS from the first byte (port 465); else STARTTLS, which must succeed unless the server is this machine. */
    secure: v.optional(v.boolean(), false),
    user: v.optional(text),
    password: v.optional(secret),
    sender: text,
    to: v.pipe(v.array(text), v.minLength(1, 'needs a recipient')),
    ...heard,
  }),
  questions: [
    { field: 'host', words: 'SMTP server', kind: 'text' },
    { field: 'port', words: 'Port', kind: 'number', default: '587' },
    { field: 'secure', words: 'TLS from the first byte (usual on port 465; else STARTTLS)?', kind: 'yes-no', default: 'no' },
    { field: 'user', words: 'User name (empty: none)', kind: 'text', isOptional: true },
    { field: 'password', words: 'Password (empty: none)', kind: 'secret', isOptional: true },
    { field: 'sender', words: 'Sender', kind: 'text' },
    { field: 'to', words: 'Recipients, separated by commas', kind: 'list' },
  ],
  send: async ({ host, port, secure, user, password, sender, to }, alert, { reveal }) => {
    const { createTransport } = await import('nodemailer'); // Most alerts are no mails.
    const isHere = isThisMachine(host);
    const transport = createTransport({
      host,
      port,
      secure,
      requireTLS: !secure && !isHere,
      ...(isHere ? { tls: { rejectUnauthorized: false } } : {}), // A local relay's certificate is its own.
      ...(user === undefined ? {} : { auth: { user, pass: password === undefined ? '' : await reveal(password) } }),
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
    });
    try {
      await transport.sendMail({ from: sender, to: [...to], subject: headline(alert), text: plainText(alert) });
    } finally {
      transport.close();
    }
  },
});
