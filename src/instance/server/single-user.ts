import { join } from 'node:path';
import { parseControlFile } from '../../formats/control-file.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { readPlain } from '../../machine/plain-file.ts';
import { configurationArguments } from '../external-configuration.ts';
import type { Local } from '../local.ts';

const SINGLE_USER_TIMEOUT_MS = 30 * 60_000; // It replays the WAL first, which takes as long as it takes.
/** Its shutdown checkpoint removes no WAL: that since the newest backup may be all that brings rows back. */
const KEPT_WAL_MIB = 1024 * 1024;

/**
 * Runs SQL in single-user mode: no other session can exist, system indexes are not read (-P), system tables may be changed (-O).
 * It replays the WAL first and writes a shutdown checkpoint at the end. Rejects with `tool.failed` and the server's words.
 * Source: the `postgres` reference page, "Options for Single-User Mode".
 */
export async function runSingleUser(local: Local, database: string, statements: readonly string[], signal: AbortSignal): Promise<string> {
  const { stdout, stderr } = await local.system.runner.run(
    {
      file: `${local.binaries.directory}/postgres`,
      args: [
        '--single',
        '-P',
        '-O',
        '-j',
        '-D',
        local.volume.dataDir,
        ...(await configurationArguments(local.volume.dataDir, local.volume.dataDir)),
        '-c',
        'exit_on_error=on',
        '-c',
        'log_min_messages=warning',
        '-c',
        `wal_keep_size=${KEPT_WAL_MIB}`,
        ...(await roomForPrepared(local.volume.dataDir)),
        database,
      ],
      input: `${statements.join(';\n\n')};\n\n`, // With -j a statement ends at a semicolon and two newlines.
      env: { ...local.system.childEnvironment, LC_ALL: 'C' },
      as: local.owner,
      lock: local.lock,
      timeoutMs: SINGLE_USER_TIMEOUT_MS,
    },
    signal,
  );
  const complaint = stderr.split('\n').find((line) => /\b(ERROR|FATAL|PANIC):/.test(line)); // The status is 0 even after an ERROR at a prompt.
  if (complaint) throw new DbkitError('tool.failed', `single-user mode failed: ${complaint}`, { changed: true });
  return stdout;
}

/** A prepared transaction that finds no room ends the start; dbkit's own settings are not in the directory's configuration, pg_control remembers them. */
async function roomForPrepared(dataDir: string): Promise<readonly string[]> {
  const bytes = await readPlain(join(dataDir, 'global/pg_control')).catch(() => undefined);
  const read = bytes && parseControlFile(bytes);
  const most = read && 'control' in read ? read.control.settings.maxPreparedXacts : 0;
  return most > 0 ? ['-c', `max_prepared_transactions=${most}`] : [];
}

/** The first column of a question's rows, as text. Single-user mode prints a row as `\t 1: name = "value"\t(typeid = …)`. */
export async function askSingleUser(local: Local, database: string, question: string, signal: AbortSignal): Promise<string[]> {
  const stdout = await runSingleUser(local, database, [question], signal);
  return [...stdout.matchAll(/^\s*1: \w+ = "((?:[^"]|"(?!\t\())*)"/gm)].map(([, value]) => value!);
}
