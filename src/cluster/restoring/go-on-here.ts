import { serverOn } from '../../instance/guard/preflight.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { look } from '../look.ts';
import { leftPatroni } from '../member/orphan.ts';
import { giveBackFile } from '../member/restore-file.ts';
import { memberNamed } from '../members.ts';
import { proveLeader } from '../proof.ts';
import { nextUp, setAside } from './begin-here.ts';
import { countMember } from './count-rows.ts';
import { endJournal, type RestoreJournal, readJournal, writeJournal } from './journal.ts';
import { type Here, reportOf } from './restore-here.ts';
import type { ClusterRestore } from './restore-local.ts';
import { holdsLock, streamingOf, whileAtWork } from './wait.ts';

const LEAD_MS = 60_000;
const ASIDE = 'aside';

/** Waits for this member to lead, then says what to type on the others; done when they stream. */
export async function goOn(here: Here, begun: RestoreJournal, signal: AbortSignal): Promise<ClusterRestore> {
  const { needs, file, folder, reached, settings } = here;
  const { config } = needs;
  const own = memberNamed(reached.members, file.name);
  let journal = begun;
  if (journal.phase === 'up') {
    if ((await leftPatroni(config.stateDir)) === undefined) return reportOf(here, journal, { resumed: true, next: nextUp(here) });
    await whileAtWork(needs, reached, { what: `${own.name} leads`, members: [own], processes: [] }, signal, async (bounded) => {
      return holdsLock(needs, reached, own, bounded);
    });
    await proveLeader(needs, reached, own, { timeline: (journal.plan.point?.timeline ?? 0) + 1, timeoutMs: LEAD_MS }, signal);
    await giveBackFile(config, settings.config);
    journal = { ...journal, phase: 'joining' };
    await writeJournal(needs.files, folder, journal);
  }
  const streaming = await streamingOf(needs, reached, signal);
  const facts = await look(needs, signal, reached);
  const leader = memberNamed(facts.members, facts.leader ?? file.name);
  const missing = reached.members.map(({ name }) => name).filter((name) => name !== leader.name && !streaming.includes(name));
  if (missing.length > 0) {
    const each = missing.flatMap((name) => [`on ${name}: dbkit ha restore --aside`, `on ${name}: systemctl start patroni`]);
    return reportOf(here, journal, { resumed: true, next: [...each, `on ${file.name}: dbkit ha restore`] });
  }
  const { timeline } = await proveLeader(needs, reached, leader, { timeline: leader.timeline ?? 1, timeoutMs: LEAD_MS }, signal);
  const rows = await countMember(leader.server, config.postgresql, signal);
  await endJournal(folder);
  return reportOf(here, journal, { done: true, resumed: true, proof: { leader: leader.name, timeline, streaming, rows } });
}

/** On the machine of another member: its data is set aside, so that Patroni copies it again. Only once somebody leads. */
export async function asideHere(here: Here, signal: AbortSignal): Promise<ClusterRestore> {
  const { needs, file, reached } = here;
  if (typeof (await serverOn(file.dataDir)) === 'object' || (await leftPatroni(needs.config.stateDir)) !== undefined)
    throw new DbkitError('recovery.refused', `${file.name} still runs`, {
      hint: 'type `systemctl stop patroni`, then the same again; nothing was changed',
    });
  const { members } = await look(needs, signal, reached);
  const leader = members.find(({ name, own }) => name !== file.name && own?.isWritable === true);
  if (leader === undefined)
    throw new DbkitError('recovery.refused', 'no other member takes writes, so this data may be all that is left', {
      hint: 'restore the first member before: `dbkit ha restore` on its machine; nothing was changed',
    });
  const plan: RestoreJournal['plan'] = {
    label: 'none',
    createdAt: needs.clock.now().toISOString(),
    sizeBytes: 0,
    systemIdentifier: null,
    point: null,
  };
  const nothing: RestoreJournal = {
    schema: 'dbkit.ha-restoring/v1',
    at: plan.createdAt,
    phase: 'down',
    asked: ASIDE,
    plan,
    first: leader.name,
    settings: null,
    oldData: null,
    aside: [],
  };
  const begun = await readJournal(needs.files, here.folder);
  if (begun !== undefined && begun.asked !== ASIDE)
    throw new DbkitError('recovery.refused', `a restore of the cluster from ${begun.plan.label} was begun on this machine`, {
      hint: 'finish it: `dbkit ha restore`; nothing was changed',
    });
  const { aside } = await setAside(here, begun ?? nothing);
  await endJournal(here.folder);
  return reportOf(here, { plan, aside }, { next: [`on ${file.name}: systemctl start patroni`] });
}
