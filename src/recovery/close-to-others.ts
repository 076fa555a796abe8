import { chmod, stat } from 'node:fs/promises';

/** A fresh volume is open to everybody (0755, 1777), and PostgreSQL refuses that; one that PostgreSQL accepts stays as it is. */
export async function closeToOthers(dataDir: string): Promise<void> {
  const mode = (await stat(dataDir)).mode & 0o7777;
  if (mode !== 0o700 && mode !== 0o750) await chmod(dataDir, 0o700);
}
