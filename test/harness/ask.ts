import pg from 'pg';

/** Where a server listens. */
export interface Address {
  readonly socketDir: string;
  readonly port: number;
}

const TIMEOUT_MS = 30_000;

/** Runs `work` in a session of the superuser's over the socket. */
export async function inSession<T>(address: Address, database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { socketDir: host, port } = address;
  const client = new pg.Client({ host, port, user: 'postgres', database, connectionTimeoutMillis: TIMEOUT_MS, query_timeout: TIMEOUT_MS });
  client.on('error', () => undefined); // A server that is killed under the session is what these tests are about.
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Runs statements; the rows of the last one. */
export async function ask<Row extends pg.QueryResultRow>(address: Address, database: string, ...statements: string[]): Promise<Row[]> {
  return inSession(address, database, async (client) => {
    let rows: Row[] = [];
    for (const statement of statements) rows = (await client.query<Row>(statement)).rows;
    return rows;
  });
}

/** The one number that a query answers. */
export const askNumber = async (address: Address, database: string, query: string): Promise<number> =>
  Number(await askText(address, database, query));

/** The one value that a query answers, as text. */
export async function askText(address: Address, database: string, query: string): Promise<string> {
  const [row] = await ask<Record<string, unknown>>(address, database, query);
  return String(Object.values(row ?? {})[0]);
}
