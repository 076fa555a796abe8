import { join, relative, resolve } from 'node:path';
import type { Local } from '../instance/local.ts';
import { DbkitError } from '../kernel/errors.ts';
import { readPlainText } from '../machine/plain-file.ts';
import type { UpgradeReport } from './contract.ts';
import { commentedOut, type RefusedSetting, refusedSettings } from './removed-settings.ts';

const CHECK_TIMEOUT_MS = 60_000;
const ROUNDS_MAX = 20;
const ownFiles = ['postgresql.conf', 'postgresql.auto.conf'] as const;

/**
 * Lets the new server read the old one's configuration, and comments out what it refuses, until it accepts the rest. Rejects with
 * `server.settings` and its words where that does not help.
 */
export async function mendSettings(local: Local, directory: string, signal: AbortSignal): Promise<UpgradeReport['settings']> {
  const { system, binaries, owner } = local;
  const changed: UpgradeReport['settings'][number][] = [];
  for (let round = 1; ; round += 1) {
    const { exitCode, stderr } = await system.runner.attempt(
      {
        file: join(binaries.directory, 'postgres'),
        args: ['-C', 'data_directory', '-D', directory],
        env: { ...system.childEnvironment, LC_ALL: 'C' },
        as: owner,
        timeoutMs: CHECK_TIMEOUT_MS,
      },
      signal,
    );
    if (exitCode === 0) return changed;
    const done = await Promise.all(refusedSettings(stderr).map((refused) => commentOut(local, directory, refused)));
    const mended = done.flat();
    if (mended.length === 0 || round >= ROUNDS_MAX)
      throw new DbkitError(
        'server.settings',
        `PostgreSQL ${binaries.major} does not accept the configuration: ${stderr.trim().split('\n').slice(-3).join('; ')}`,
        {
          hint: 'change that setting in the old configuration, which both majors read, and try again; nothing was changed',
        },
      );
    changed.push(...mended);
  }
}

/** In files of the new cluster alone: what lies outside is the old one's too. */
async function commentOut(local: Local, directory: string, { name, file, because }: RefusedSetting): Promise<UpgradeReport['settings']> {
  const named = file === null ? [] : [relative(directory, resolve(directory, file))].filter((path) => !path.startsWith('..'));
  const done: UpgradeReport['settings'][number][] = [];
  for (const path of new Set([...named, ...ownFiles])) {
    const text = await readPlainText(join(directory, path)).catch(() => '');
    const next = commentedOut(text, name, `commented out by dbkit upgrade to ${local.binaries.major} (${because.replaceAll('\n', ' ')})`);
    if (next === undefined) continue;
    await local.system.files.write(join(directory, path), next, { mode: 0o600, owner: local.owner });
    done.push({ name, file: path, because });
  }
  return done;
}
