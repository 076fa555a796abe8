/** Where an endpoint listens; `host` undefined: on every address, IPv6 too where there is any. */
export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

const LOOPBACK = '127.0.0.1';

/** '9187' (loopback only), '*:9187', '10.0.0.5:9187', '[::1]:9187'; undefined when it is none of those. */
export function listenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+)):)?(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  return { host: plain === '*' ? undefined : (bracketed ?? plain ?? LOOPBACK), port };
}
