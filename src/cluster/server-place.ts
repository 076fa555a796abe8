import { lookup } from 'node:dns/promises';
import type { SslMode } from '../config/config.ts';
import { within } from '../kernel/deadline.ts';
import type { Member, Place } from './members.ts';

/** The addresses of a host; none where nobody says it in time. */
export type AddressesOf = (host: string) => Promise<readonly string[]>;

const LIMIT_MS = 1_000;

export const addressesOf =
  (signal: AbortSignal): AddressesOf =>
  async (host) => {
    const found = await within([signal], LIMIT_MS, () => lookup(host, { all: true })).catch(() => []);
    return found.map(({ address }) => address);
  };

/**
 * Where a member's server is asked, with the superuser's password. Patroni's API is plain HTTP as a rule, and any member speaks for all: whoever
 * answers in its place could name a host of his own. So the host is one that `ha.members` names for that member, unless TLS proves whose it is;
 * Patroni says the port.
 */
export async function serverPlace(
  { api, server }: Pick<Member, 'api' | 'server'>,
  said: { readonly host: string | null; readonly port: number | null } | undefined,
  sslMode: SslMode | undefined,
  addresses: AddressesOf,
): Promise<Place> {
  if (said === undefined || !said.host || !said.port) return server;
  const named = { host: said.host, port: said.port };
  const own = [server.host, new URL(api).hostname.replace(/^\[(.*)\]$/, '$1')];
  if (sslMode === 'verify-full' || own.some((host) => host.toLowerCase() === named.host.toLowerCase())) return named;
  const theirs = await addresses(named.host);
  for (const host of new Set(own)) if ((await addresses(host)).some((address) => theirs.includes(address))) return { ...named, host };
  return server;
}
