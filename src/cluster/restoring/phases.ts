import { join } from 'node:path';
import { clusterEntries } from '../../instance/volume.ts';
import { bootstrapSection } from '../copying/whole-plan.ts';
import { endMembers } from '../local/down.ts';
import { localNeeds, readLocal, runningOf } from '../local/local-state.ts';
import { type Starting, startMember } from '../local/start.ts';
import { look, reach } from '../look.ts';
import { memberNamed, type Place } from '../members.ts';
import { proveLeader, until } from '../proof.ts';
import { addressOf, memberDocument } from '../render/documents.ts';
import { type CountedRows, countMember } from './count-rows.ts';
import { type RestoreJournal, writeJournal } from './journal.ts';
import type { RestoringNeeds } from './restore-local.ts';
import { setAsideNoted } from './set-aside-noted.ts';
import { forgetCluster, type StoreKeys, storeValue } from './store-keys.ts';
import { holdsLock, streamingOf, whileAtWork } from './wait.ts';

/** The words of the servers themselves about a cluster that was restored. */
export interface Proof {
  readonly leader: string;
  readonly timeline: number;
  readonly streaming: readonly string[];
  readonly rows: CountedRows;
}

const STORE_MS = 60_000;
const LEAD_MS = 120_000;
const FRONT = ['etcd', 'haproxy', 'pgbouncer'];

/** Members stopped, keys gone, data aside: each of it may have been done before. */
export async function setAllAside(
  needs: RestoringNeeds,
  starting: Starting,
  begun: RestoreJournal,
  signal: AbortSignal,
): Promise<RestoreJournal> {
  const { system, files } = needs;
  const { folder } = starting;
  await endMembers(needs, folder, (await readLocal(files, folder))!, begun.first);
  system.reached('cluster-restore.stopped');
  const store = await storeOf(needs, starting, signal);
  await forgetCluster(store, signal);
  system.reached('cluster-restore.forgotten');
  const keep = (journal: RestoreJournal): Promise<void> => writeJournal(files, folder, journal);
  let journal = begun;
  for (const { name, dataDir } of starting.plan.members) {
    const wish = { member: name, dataDir, backupDir: starting.plan.backups!.dir, owner: starting.owner, kind: 'replaced' } as const;
    journal = await setAsideNoted(journal, wish, keep, system);
  }
  journal = { ...journal, phase: 'up' };
  await keep(journal);
  system.reached('cluster-restore.set-aside');
  return journal;
}

/** The first member is made from the backup, and leads. Where an earlier run was ended before that, and nobody works on it, it is begun again. */
export async function startFirst(
  needs: RestoringNeeds,
  starting: Starting,
  begun: RestoreJournal,
  signal: AbortSignal,
): Promise<RestoreJournal> {
  const { folder } = starting;
  const store = await storeOf(needs, starting, signal);
  let journal = begun;
  if (!(await runs(needs, folder, journal.first)) && !(await storeValue(store, 'initialize', signal))) {
    if ((await clusterEntries(memberNamed(starting.plan.members, journal.first).dataDir)).length > 0)
      journal = await setAllAside(needs, starting, journal, signal); // Half of a copy.
    await writeMember(needs, starting, journal, true);
    await startMember(needs, starting, journal.first);
  } else if (!(await runs(needs, folder, journal.first))) await startMember(needs, starting, journal.first);
  needs.system.reached('cluster-restore.first-started');
  await proveFirst(needs, starting, journal, signal);
  await writeMember(needs, starting, journal, false);
  journal = { ...journal, phase: 'joining' };
  await writeJournal(needs.files, folder, journal);
  needs.system.reached('cluster-restore.leads');
  return journal;
}

async function proveFirst(needs: RestoringNeeds, starting: Starting, { first, plan }: RestoreJournal, signal: AbortSignal): Promise<void> {
  const here = localNeeds(needs, starting.state);
  const reached = await reach(here);
  const member = memberNamed(reached.members, first);
  const waiting = { what: `${first} leads`, members: [member], processes: await processesOf(needs, starting.folder, [first]) };
  await whileAtWork(here, reached, waiting, signal, async (bounded) => {
    return holdsLock(here, reached, member, bounded);
  });
  const timeline = (plan.point?.timeline ?? 0) + 1; // It must not go on under a name that other WAL has.
  await proveLeader(here, reached, member, { timeline, timeoutMs: LEAD_MS }, signal);
}

/** The others are copied from the backup or the leader; the whole is well, and its rows are counted. */
export async function joinOthers(
  needs: RestoringNeeds,
  starting: Starting,
  { first }: RestoreJournal,
  signal: AbortSignal,
): Promise<Proof> {
  const { folder, plan } = starting;
  const here = localNeeds(needs, starting.state);
  const reached = await reach(here);
  await storeOf(needs, starting, signal);
  for (const { name } of plan.members) if (!(await runs(needs, folder, name))) await startMember(needs, starting, name);
  needs.system.reached('cluster-restore.others-started');
  const processes = await processesOf(
    needs,
    folder,
    plan.members.map(({ name }) => name),
  );
  const waiting = { what: 'every other member streams', members: reached.members, processes };
  let streaming: readonly string[] = [];
  await whileAtWork(here, reached, waiting, signal, async (bounded) => {
    streaming = await streamingOf(here, reached, bounded);
    return streaming.length === plan.members.length - 1;
  });
  const { leader, members } = await look(here, signal, reached);
  const leading = members.find(({ name }) => name === leader) ?? memberNamed(members, first);
  const { timeline } = await proveLeader(here, reached, leading, { timeline: leading.timeline ?? 1, timeoutMs: LEAD_MS }, signal);
  return { leader: leading.name, timeline, streaming, rows: await countMember(leading.server, here.config.postgresql, signal) };
}

/** etcd and what clients come through, started where they do not run; resolves when etcd answers. */
async function storeOf(needs: RestoringNeeds, starting: Starting, signal: AbortSignal): Promise<StoreKeys> {
  const { plan, folder } = starting;
  for (const name of FRONT) if (!(await runs(needs, folder, name))) await startMember(needs, starting, name);
  const store = { url: `http://${addressOf(plan.stores[0]!.client as Place)}`, api: plan.storeApi, scope: plan.scope };
  await until('etcd answers', { timeoutMs: STORE_MS, clock: needs.clock, signal }, async (bounded) => {
    await storeValue(store, 'initialize', bounded);
    return true;
  });
  return store;
}

const processesOf = async ({ files }: RestoringNeeds, folder: string, names: readonly string[]) =>
  (await readLocal(files, folder))!.processes.filter(({ name }) => names.includes(name));

const runs = async ({ files }: RestoringNeeds, folder: string, name: string): Promise<boolean> =>
  (await runningOf((await readLocal(files, folder))!)).some((one) => one.name === name);

async function writeMember({ files }: RestoringNeeds, starting: Starting, journal: RestoreJournal, isRestore: boolean): Promise<void> {
  const { folder, plan } = starting;
  const document = memberDocument(plan, memberNamed(plan.members, journal.first)) as { readonly bootstrap: object };
  const bootstrap = isRestore
    ? bootstrapSection(document.bootstrap, { ...journal, call: plan.backups!.dbkit(journal.first) })
    : document.bootstrap;
  await files.write(join(folder, `${journal.first}.yml`), JSON.stringify({ ...document, bootstrap }, null, 1), { mode: 0o600 });
}
