import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding } from '../inspection/findings.ts';
import { discardUnfinished, stageNewCluster } from '../instance/initialize/initialize.ts';
import { markInitializing, replacedBefore } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { clusterEntries, present } from '../instance/volume.ts';
import { DbkitError, type FailureCode } from '../kernel/errors.ts';
import type { HeldLock } from '../kernel/machine.ts';
import type { Loss } from './losses.ts';
import type { Plan, PlannedStep } from './plan.ts';
import { damageOf, newClusterLoses, restoreLoses, slotsOf } from './plan-losses.ts';
import { newQuarantine } from './quarantine.ts';
import type { Repair } from './remedies.ts';
import { repairs } from './repairs.ts';
import { mountsInTheWay, replaceContents } from './replace.ts';
import { asideDirectory } from './set-aside.ts';

/** What carrying a plan out did: where the old bytes are, and what is lost. */
export interface Outcome {
  readonly done: readonly PlannedStep[];
  readonly quarantine: string | null;
  readonly losses: readonly Loss[];
}

/** Carries out what was decided. The server is down and the volume's lock is held. Rejects with the refusal's own code and words. */
export async function carryOut(local: Local, plan: Plan, lock: HeldLock, signal: AbortSignal): Promise<Outcome> {
  switch (plan.decision) {
    case 'refuse':
      throw refusal(plan);
    case 'start':
      return { done: plan.steps, quarantine: null, losses: damageOf(plan) };
    case 'repair':
      return repairAll(local, plan, signal);
    case 'initialize':
    case 'reinitialize':
      return initialize(local, plan, lock, signal);
    case 'restore':
      return restore(local, plan, signal);
  }
}

async function repairAll(local: Local, plan: Plan, signal: AbortSignal): Promise<Outcome> {
  const bench = { local, control: plan.inspection.control, asideDir: asideDirectory(local), backedUp: plan.backedUp };
  const done = plan.steps.filter(({ answer }) => answer === 'start' || answer === 'serve');
  local.system.reached('repair.begun');
  for (const step of inOrder(plan.steps)) {
    signal.throwIfAborted();
    const { finding, answer } = step;
    local.system.log.info('repair.step', `${finding.path}: ${finding.evidence}; ${sentences[answer as Repair]}`, {
      code: finding.code,
      path: finding.path,
    });
    await repairs[answer as Repair](bench, finding, signal);
    done.push(step);
  }
  local.system.reached('repair.done');
  const quarantine = (await present(bench.asideDir)) ? bench.asideDir : null;
  return { done, quarantine, losses: [...damageOf(plan), ...slotsOf(plan, quarantine)] };
}

/** Permissions first, then files, then what needs a server that can start. */
const order: readonly Repair[] = [
  'mend-permissions',
  'make-directory',
  'make-empty-file',
  'rewrite-version-file',
  'bring-back-kept-file',
  'bring-back-from-backup',
  'restore-configuration',
  'set-aside-file',
  'set-aside-slot',
  'reset-wal',
  'rebuild-catalog-index',
];
function inOrder(steps: readonly PlannedStep[]): PlannedStep[] {
  const rank = ({ answer }: PlannedStep): number => order.indexOf(answer as Repair);
  return steps.filter((step) => rank(step) >= 0).sort((a, b) => rank(a) - rank(b));
}

const sentences: Record<Repair, string> = {
  'mend-permissions': 'setting owner and mode right',
  'make-directory': 'making it again',
  'make-empty-file': 'making it again, empty as it was',
  'rewrite-version-file': 'writing it again from pg_control',
  'bring-back-kept-file': 'bringing back the copy kept at the last clean shutdown',
  'bring-back-from-backup': 'bringing back its very bytes from the newest backup',
  'restore-configuration': 'setting it aside and bringing back a good one',
  'set-aside-file': 'setting it aside',
  'set-aside-slot': 'setting the replication slot aside',
  'reset-wal': 'beginning new WAL (pg_resetwal), as all data is in the files',
  'rebuild-catalog-index': 'rebuilding the index from its table',
};

async function initialize(local: Local, plan: Plan, lock: HeldLock, signal: AbortSignal): Promise<Outcome> {
  const { volume, owner, system } = local;
  await mountsInTheWay(volume.dataDir);
  const before = await replacedBefore(volume, system);
  await stageNewCluster(local, lock, signal);
  if (plan.inspection.report.state === 'unfinished') await discardUnfinished(local); // Only now that there is something to take its place.
  await closeToOthers(volume.dataDir);
  const quarantine = (await clusterEntries(volume.dataDir)).length > 0 ? await newQuarantine(local, kindOf(plan)) : null;
  const replaced = plan.decision === 'reinitialize' ? quarantine : before;
  await markInitializing(volume, owner, replaced, system);
  await replaceContents(volume, owner, { quarantine, publishes: true, because: plan.because }, system);
  system.reached('initialize.published');
  return { done: plan.steps, quarantine: quarantine ?? replaced, losses: newClusterLoses(replaced) };
}

/** Sound data that a person wanted replaced is filed like that of a restore, so that `backup undo` brings it back. */
const kindOf = ({ decision, steps }: Plan): 'corrupt' | 'replaced' =>
  decision === 'initialize' || steps.some(({ answer }) => answer === 'replace' || answer === 'serve') ? 'corrupt' : 'replaced';

async function restore(local: Local, plan: Plan, signal: AbortSignal): Promise<Outcome> {
  const { volume, owner, system } = local;
  const { backup, of } = plan.backup!; // The ladder restores only when there is one.
  const walFrom = join(volume.dataDir, 'pg_wal');
  await mountsInTheWay(volume.dataDir);
  system.log.info('restore.begun', `restoring ${backup.label} beside the data`, { label: backup.label });
  const { recoveredTo } = await of.stage(
    backup,
    { directory: volume.incoming, walFrom: (await present(walFrom)) ? walFrom : undefined },
    signal,
  );
  system.reached('restore.staged');
  await closeToOthers(volume.dataDir);
  const quarantine = (await clusterEntries(volume.dataDir)).length > 0 ? await newQuarantine(local, kindOf(plan)) : null;
  await replaceContents(volume, owner, { quarantine, publishes: true, because: plan.because }, system);
  return { done: plan.steps, quarantine, losses: restoreLoses(plan.backup!, recoveredTo, quarantine) };
}

/** A fresh volume is open to everybody (0755, 1777), and PostgreSQL refuses that; one that PostgreSQL accepts stays as it is. */
export async function closeToOthers(dataDir: string): Promise<void> {
  const mode = (await stat(dataDir)).mode & 0o7777;
  if (mode !== 0o700 && mode !== 0o750) await chmod(dataDir, 0o700);
}

/** Which failure each refused finding is. */
const refusals: Partial<Record<Finding['code'], readonly [FailureCode, hint: string]>> = {
  'data.foreign': ['data.foreign', 'set PGDATA to an empty directory or to a database; nothing was changed'],
  'tablespace.dangling': [
    'recovery.refused',
    'mount the tablespace’s volume first: a start would replay its WAL into nowhere; nothing was changed',
  ],
  'version.mismatch': [
    'data.version',
    'install the programs of that major version, or dump the data with them and restore here; nothing was changed',
  ],
  'volume.full': ['volume.full', 'free some space on the volume; never delete anything in pg_wal'],
  'volume.read-only': ['volume.read-only', 'mount the volume writable'],
  'owner.wrong': ['data.owner', 'run `chown -R` on it as root, or run dbkit as its owner; nothing was changed'],
  'mode.wrong': ['data.owner', 'run `chmod 0700` on it as its owner; nothing was changed'],
  'wal-link.dangling': ['recovery.refused', 'mount the volume that pg_wal leads to; nothing was changed'],
  'backup-label.stray': [
    'recovery.refused',
    'if this is a restored backup, put its WAL into pg_wal; if a backup script was killed here, move backup_label away yourself; nothing was changed',
  ],
  'server.running': ['server.running', 'stop that server first; nothing was changed'],
  'file.unreadable': ['volume.failing', 'look at `dmesg` and at the mount first; nothing was changed'],
  'conf.missing': ['server.settings', 'mend that file: no good copy of it is left; the data was not touched'],
  'conf.broken': ['server.settings', 'mend that file: its good copy does not help either; the data was not touched'],
  'server.settings': ['server.settings', 'change the setting named above; nothing was changed'],
};

function refusal(plan: Plan): DbkitError {
  const refused = plan.steps.find(({ answer }) => answer === 'refuse');
  if (refused) {
    const [code, hint] = refusals[refused.finding.code] ?? ['recovery.refused', '`dbkit inspect` shows everything that was seen'];
    return new DbkitError(
      code,
      `${refused.finding.path === '.' ? 'the data directory' : refused.finding.path}: ${refused.finding.evidence}`,
      { hint },
    );
  }
  const damage = plan.steps.filter(({ answer }) => answer === 'replace').map(({ finding }) => `${finding.path} (${finding.evidence})`);
  const replaceable = damage.length > 0 && !/too often/.test(plan.because);
  const [, hint] = hints.find(([because]) => because.test(plan.because))!; // The last row always matches.
  return new DbkitError(
    replaceable ? 'data.corrupt' : 'recovery.refused',
    `${plan.because}${damage.length > 0 ? `: ${damage.slice(0, 3).join(', ')}` : ''}`,
    { hint: `${hint}; nothing was changed` },
  );
}

/** What to do about a refusal of the ladder's, by its reason. */
const hints: readonly (readonly [because: RegExp, hint: string])[] = [
  [/repairs are not allowed/, '`dbkit recover --strategy repair` does it once, `repair` in recovery.allow always'],
  [/follows another one/, 'copy this standby anew from its primary (pg_basebackup), or promote it only if the primary is lost'],
  [/there is no good backup/, '`dbkit maintenance list-backups` shows what there is'],
  [/./, '`dbkit recover --dry-run` shows the evidence, `dbkit recover --strategy restore|reinitialize` chooses'],
];
