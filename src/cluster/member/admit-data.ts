import type { Config } from '../../config/config.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import { clusterEntries } from '../../instance/volume.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { fill } from '../../kernel/reasons.ts';
import { leaderAmong } from '../leading.ts';
import { membersOf } from '../members.ts';
import { createPatroni } from '../patroni.ts';
import { admit } from './admission.ts';
import type { Member, MemberOptions } from './member.ts';
import { setMemberAside } from './set-aside-member.ts';
import { noteBegun, takeUpUnfinished } from './unfinished.ts';

/** Before Patroni is started on a member’s data: what is proven to be damaged is set aside, or held. */
export async function admitData(
  { config, system, recover }: MemberOptions,
  { file, owner }: Pick<Member, 'file' | 'owner'>,
  signal: AbortSignal,
): Promise<void> {
  const isEmpty = (await clusterEntries(file.dataDir)).length === 0;
  const report = isEmpty ? undefined : await recover({ dryRun: true, strategy: undefined }, signal);
  const leader = report === undefined || report.decision === 'start' ? null : await leaderElsewhere(config, file.name, signal);
  const facts = { decision: report?.decision ?? 'initialize', isEmpty, leader } as const;
  const { id, then, words } = admit(facts);
  const because = report === undefined ? '' : `: ${report.because}`;
  if (then === 'hold')
    throw new DbkitError('recovery.refused', `${fill(words, facts)}${because}`, {
      hint: '`dbkit inspect` shows the evidence, `dbkit ha why-not` who else could lead; nothing was changed',
    });
  if (then === 'start') return;
  const { dataDir } = file;
  const quarantine = await setMemberAside({ dataDir, backupDir: config.backupDir, owner }, system);
  system.log.warn('member.set-aside', `${fill(words, facts)}${because}; the old bytes are in ${quarantine}`, { reason: id, quarantine });
}

async function leaderElsewhere({ ha, postgresql }: Config, own: string, signal: AbortSignal): Promise<string | null> {
  if (Object.keys(ha.members).length === 0) return null;
  const others = membersOf(ha, postgresql.port).filter(({ name }) => name !== own);
  return leaderAmong(others, createPatroni(undefined), signal);
}

/** Before Patroni is started again: one that has never been ready may have left half of what it made, or copied. */
export async function admitAgain(member: Member, signal: AbortSignal): Promise<void> {
  if (!(await takeUpUnfinished(member, signal))) return;
  if (typeof (await serverOn(member.file.dataDir)) !== 'object') await admitData(member.options, member, signal);
  await noteBegun(member);
}
