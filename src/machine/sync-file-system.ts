import type { System } from '../kernel/machine.ts';

const TIMEOUT_MS = 60 * 60_000;

/**
 * Makes everything below `path` durable with one syncfs(2), where fsync of a thousand files would take seconds: coreutils' `sync --file-system`
 * (whose failures the kernel reports since Linux 5.8). False where it is missing or refuses: then each file must be synced.
 */
export async function syncFileSystem(path: string, { runner }: Pick<System, 'runner'>, signal: AbortSignal): Promise<boolean> {
  const attempt = await runner
    .attempt({ file: 'sync', args: ['--file-system', path], timeoutMs: TIMEOUT_MS }, signal)
    .catch(() => undefined);
  signal.throwIfAborted();
  return attempt?.exitCode === 0;
}
