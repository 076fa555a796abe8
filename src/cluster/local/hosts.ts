/** 198.18.0.0/15 is for tests of networks, and routed nowhere (RFC 2544). By the port, so that two clusters are not in each other's way. */
export const prefixOf = (port: number): string => `198.${18 + ((port >> 8) & 1)}.${port & 255}`;

/** The addresses of a local cluster: the loopback's unless its members are apart. */
export function hostsOf({ port, apart }: { readonly port: number; readonly apart?: true | undefined }) {
  const prefix = prefixOf(port);
  return {
    hub: apart ? `${prefix}.1` : '127.0.0.1',
    member: (index: number): string => (apart ? `${prefix}.${11 + index}` : '127.0.0.1'),
  };
}
