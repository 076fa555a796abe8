import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Identity, System } from '../kernel/machine.ts';

/** Pure. One line that fits every server, in which a colon and a backslash are escaped (libpq, "The Password File"). */
export const passfileLine = (password: string): string => `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`;

/**
 * The environment by which a tool of PostgreSQL's finds a password, for as long as `work` takes: a file of its user's alone, as whoever may look
 * at a process sees its environment.
 */
export async function withPassfile<T>(
  password: string | undefined,
  { system, owner }: { readonly system: Pick<System, 'files'>; readonly owner: Identity | undefined },
  work: (environment: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  if (password === undefined) return work({});
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-'));
  try {
    if (owner) await chown(folder, owner.uid, owner.gid);
    const file = join(folder, 'passfile');
    await system.files.write(file, passfileLine(password), { mode: 0o600, owner });
    return await work({ PGPASSFILE: file });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
