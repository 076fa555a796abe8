import { join } from 'node:path';
import type { BaseBackups, FoundBackup } from '../backups/backup.ts';
import type { DrillReport } from '../backups/drill.ts';
import { isProof } from '../backups/drill.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { amcheckComplaints, judgeAmcheck } from '../instance/amcheck-verdict.ts';
import { openAsRole, openForServer, superuserToolOptions } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import { fill } from '../kernel/reasons.ts';
import { isReachable } from '../machine/is-there.ts';
import { askEveryDatabase, createChecks } from './checks.ts';
import { onScratchCopy, type Scratch } from './scratch.ts';

const AMCHECK_TIMEOUT_MS = 4 * 3_600_000;
const SHOWN = 5;

/**
 * Rehearses the restore of one backup: into scratch, started, every database asked, pg_amcheck where it is installed, the user's assertions.
 * The drill's verdict is kept with the backup. Rejects only when nothing could be tried.
 */
export async function drill(
  options: PostgresqlOptions,
  { backup, of }: FoundBackup<BaseBackups>,
  signal: AbortSignal,
): Promise<DrillReport> {
  const { config, system } = options;
  const { clock } = system;
  const now = clock.now();
  const rollsForward = await of.rollsForward(backup, config.postgresql.dataDir, signal).catch(() => false);
  signal.throwIfAborted();
  const common = {
    label: backup.label,
    at: now.toISOString(),
    rpoMs: Math.max(0, now.getTime() - Date.parse(backup.createdAt)),
    rollsForward,
  };
  const begunMs = clock.monotonicMs();
  const report = await onScratchCopy(options, { backup, of }, signal, async (scratch): Promise<DrillReport> => {
    const checks = createChecks(clock);
    const databases = await askEveryDatabase(checks, scratch, signal);
    const rtoMs = clock.monotonicMs() - begunMs; // What comes now proves more, but nobody would wait for it.
    await checks.add('pg_amcheck', () => amcheck(scratch, signal));
    if (config.drill.assertions.length > 0) await letRead(scratch, signal);
    for (const [index, { name = String(index + 1), ...assertion }] of config.drill.assertions.entries())
      await checks.add(`assertion ${name}`, () => assertTrue(scratch, assertion, signal), { isOfBackup: false });
    return {
      ...common,
      ok: isProof(checks.done),
      rtoMs: Math.round(rtoMs),
      restoreMs: Math.round(scratch.restoreMs),
      startMs: Math.round(scratch.startMs),
      databases,
      checks: checks.done,
    };
  });
  await of.prove(backup, report, signal);
  return report;
}

/** Every heap and every index of every database; the copy may be given the extension that it needs. */
async function amcheck({ local, socketDir }: Scratch, signal: AbortSignal): Promise<string | null | { skipped: string }> {
  const { binaries, settings, owner, system } = local;
  const file = join(binaries.directory, 'pg_amcheck');
  const installed = await isReachable(file);
  if (!installed) return { skipped: `PostgreSQL ${binaries.major} here comes without pg_amcheck` };
  const args = [
    '--all',
    '--install-missing',
    '--jobs=2',
    `--host=${socketDir}`,
    `--port=${settings.port}`,
    `--username=${settings.superuser}`,
  ];
  const env = { ...system.childEnvironment, PGOPTIONS: superuserToolOptions(binaries.major) };
  const { exitCode, stdout, stderr } = await system.runner.attempt({ file, args, env, as: owner, timeoutMs: AMCHECK_TIMEOUT_MS }, signal);
  const end = { exitCode, words: `${stdout}\n${stderr}` };
  const { then, words } = judgeAmcheck(end);
  if (then === 'sound') return null;
  if (then === 'skipped') return { skipped: words };
  const said = (then === 'damaged' ? amcheckComplaints(end.words) : [end.words]).join('\n');
  const shown = said.trim().split('\n').slice(0, SHOWN).join('; ');
  if (then === 'damaged') return shown;
  throw new DbkitError('tool.failed', `${fill(words, end)}: ${shown}`, {
    hint: 'free some space or memory, and rehearse it again; it says nothing of the backup',
  });
}

/**
 * In the copy, which is thrown away, the application's role may read every table: an assertion may be about tables of other owners. Its functions
 * still run with that role's rights. PostgreSQL 13 has no such right (pg_read_all_data came with 14).
 */
async function letRead({ local, socketDir }: Scratch, signal: AbortSignal): Promise<void> {
  if (local.binaries.major < 14) return;
  const session = await openForServer({ ...local.settings, socketDir }, {}, signal);
  try {
    await session.query(`GRANT pg_read_all_data TO ${session.escapeIdentifier(local.settings.username)}`);
  } finally {
    await session.end();
  }
}

/** One query whose first column of its first row must be true. It asks as the application's role, as what it calls is the application's. */
async function assertTrue(
  { local, socketDir }: Scratch,
  { sql, database }: { readonly sql: string; readonly database?: string | undefined },
  signal: AbortSignal,
): Promise<string | null> {
  const { username, database: own = username } = local.settings;
  const { port } = local.settings;
  const session = await openAsRole({ socketDir, port, user: username, database: database ?? own, password: undefined }, {}, signal);
  try {
    const [row] = await session.query(sql);
    const value = row === undefined ? undefined : Object.values(row)[0];
    if (value === true) return null;
    throw new DbkitError(
      'command.failed',
      row === undefined ? 'it answered no row' : `it answered ${JSON.stringify(value)} instead of true`,
    );
  } finally {
    await session.end();
  }
}
