import pg from 'pg';

/** A document of `dbkit ha … --json`. */
export interface Said {
  readonly status: number | null;
  readonly stderr: string;
  /** Where it failed. */
  readonly failure?: { readonly code: string; readonly message: string };
  readonly report: {
    readonly trials?: readonly object[];
    readonly status?: string;
    readonly leader?: string | null;
    readonly findings?: readonly { readonly id: string; readonly member: string | null; readonly words: string }[];
    readonly probes?: readonly { readonly name: string; readonly status: string; readonly summary: string }[];
    readonly members?: readonly { readonly name: string; readonly writable: boolean | null }[];
  };
}

export const said = ({ status, stdout, stderr }: { status: number | null; stdout: string; stderr: string }): Said => ({
  status,
  stderr,
  ...(JSON.parse(stdout) as Pick<Said, 'report'>),
});

/** In a session of its own. */
export async function sqlOf(port: number, password: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const session = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password,
    database: 'postgres',
    connectionTimeoutMillis: 10_000,
  });
  session.on('error', () => undefined);
  await session.connect();
  try {
    return (await session.query(text)).rows as Record<string, unknown>[];
  } finally {
    await session.end();
  }
}
