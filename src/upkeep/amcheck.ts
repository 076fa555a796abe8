import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { amcheckComplaints, judgeAmcheck } from '../instance/amcheck-verdict.ts';
import { findBinaries } from '../instance/binaries.ts';
import { serverOwner } from '../instance/owner.ts';
import { withPassfile } from '../instance/passfile.ts';
import { peerOf, superuserToolOptions } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import { fill } from '../kernel/reasons.ts';
import { readPlainText } from '../machine/plain-file.ts';

/** It reads every table and index; only a hang is cut short. */
const TIMEOUT_MS = 24 * 3_600_000;

/**
 * The complaints of pg_amcheck in all databases of the running server, a line each; installs the extension `amcheck` where it is missing, as it
 * needs that. Rejects with `program.missing` where there is no pg_amcheck (before 14, and in the embedded packages), `tool.failed` when it cannot look.
 */
export async function amcheck({ config, system }: PostgresqlOptions, signal: AbortSignal): Promise<readonly string[]> {
  const { socketDir, port, superuser, superuserPassword, binDir, dataDir, version } = config.postgresql;
  const own = Number(await readPlainText(join(dataDir, 'PG_VERSION')).catch(() => '')) || undefined;
  const { directory } = await findBinaries({ major: own ?? version, directory: binDir }, system, signal);
  const file = join(directory, 'pg_amcheck');
  await access(file, constants.X_OK).catch((cause: unknown) => {
    throw new DbkitError('program.missing', `there is no pg_amcheck in ${directory}`, { cause });
  });
  const env = {
    ...system.childEnvironment,
    PGAPPNAME: 'dbkit',
    PGOPTIONS: superuserToolOptions(own),
    ...(await peerOf(config.postgresql)),
  };
  const address = [`--host=${socketDir}`, `--port=${port}`, `--username=${superuser}`, '--no-password'];
  const as = await serverOwner(config.postgresql, system);
  const args = ['--all', '--install-missing', ...address];
  const { exitCode, stdout, stderr } = await withPassfile(superuserPassword?.reveal(), { system, owner: as }, (passfile) =>
    system.runner.attempt({ file, args, env: { ...env, ...passfile }, as, timeoutMs: TIMEOUT_MS }, signal),
  );
  const end = { exitCode, words: `${stdout}\n${stderr}` };
  const { then, words } = judgeAmcheck(end);
  if (then === 'sound') return [];
  const lines = (text: string): string[] => text.split('\n').map((line) => line.trim());
  if (then === 'damaged') return amcheckComplaints(end.words).flatMap(lines).filter(Boolean);
  throw new DbkitError('tool.failed', `${fill(words, end)}: ${lines(end.words).find(Boolean) ?? 'without a word'}`);
}
