/** Where a server is asked, as libpq's keywords say it ("Connection Strings", keyword/value). */
export interface Conninfo {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly sslMode: string | undefined;
}

const PAIR = /\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)/gy;

/** 'dbname=postgres user=replicator host=10.0.0.1 port=5432' in parts; undefined where it names no host. Pure. */
export function parseConninfo(text: string): Conninfo | undefined {
  const found: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(PAIR)) found[name!] = value!.replace(/^'(.*)'$/s, '$1').replace(/\\(.)/gs, '$1');
  const { host, port = '5432', user = '', dbname = 'postgres', sslmode } = found;
  return host ? { host, port: Number(port), user, database: dbname, sslMode: sslmode } : undefined;
}

/** The password for it in a file of passwords (libpq, "The Password File"); undefined where no line fits. Pure. */
export function passwordIn(text: string, { host, port, user, database }: Conninfo): string | undefined {
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const fields = line.split(/(?<!\\):/).map((field) => field.replace(/\\(.)/g, '$1'));
    const wanted = [host, String(port), database, user];
    if (fields.length >= 5 && wanted.every((value, index) => fields[index] === '*' || fields[index] === value))
      return fields.slice(4).join(':');
  }
  return undefined;
}
