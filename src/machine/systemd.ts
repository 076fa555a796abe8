import { readFile, realpath, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DbkitError, errnoOf, isDenied } from '../kernel/errors.ts';
import type { Files, Runner } from '../kernel/machine.ts';
import { isReachable } from './is-there.ts';
import type { Systemd } from './systemd-contract.ts';

const TIMEOUT_MS = 60_000;

/** systemd's files and its command, for installing units. */
export function createSystemd({ files, runner }: { readonly files: Files; readonly runner: Runner }): Systemd {
  return {
    isBooted: () => isReachable('/run/systemd/system'),
    read: (path) =>
      readFile(path, 'utf8').catch((cause: unknown) => {
        if (errnoOf(cause) === 'ENOENT') return undefined;
        throw explained(path, cause);
      }),
    async write(path, text, mode) {
      try {
        await files.makeDirectory(dirname(path));
        await files.write(path, text, { mode });
      } catch (cause) {
        throw explained(path, cause);
      }
    },
    remove: async (path) => {
      await rm(path).catch((cause: unknown) => {
        throw explained(path, cause);
      });
    },
    realPath: (path) => realpath(path),
    control: async (args, signal) => {
      await runner.run({ file: 'systemctl', args, timeoutMs: TIMEOUT_MS }, signal);
    },
  };
}

const explained = (path: string, cause: unknown): unknown =>
  isDenied(cause)
    ? new DbkitError('command.failed', `${path} may not be read or written by this user`, { hint: 'run it as root', cause })
    : cause;
