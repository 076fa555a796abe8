import nodemailer from 'nodemailer';
import type { ChannelSettings } from '../config/alert-settings.ts';
import { headline, plainText, type StampedAlert } from './alert.ts';

const TIMEOUT_MS = 20_000;
/** Loopback itself: a name that only begins like it is somebody else's machine. */
export const isThisMachine = (host: string): boolean => /^(localhost\.?|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);

/** One mail over SMTP; without TLS only to this machine. */
export async function sendMail(
  { host, port, secure, user, sender, to }: Extract<ChannelSettings, { type: 'email' }>,
  password: string | undefined,
  alert: StampedAlert,
): Promise<void> {
  const transport = nodemailer.createTransport({
    host,
    port,
    secure,
    requireTLS: !secure && !isThisMachine(host),
    ...(isThisMachine(host) ? { tls: { rejectUnauthorized: false } } : {}), // A local relay's certificate is its own.
    ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  });
  try {
    await transport.sendMail({ from: sender, to: [...to], subject: headline(alert), text: plainText(alert) });
  } finally {
    transport.close();
  }
}
