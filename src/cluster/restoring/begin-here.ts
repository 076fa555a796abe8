import { serverOn } from '../../instance/guard/preflight.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { bootstrapSection, planWhole } from '../copying/whole-plan.ts';
import type { MemberFacts } from '../facts.ts';
import type { MemberDocument } from '../lint/patroni-setup.ts';
import { look } from '../look.ts';
import { leftPatroni } from '../member/orphan.ts';
import { restoreFile } from '../member/restore-file.ts';
import { heldIn } from './held-data.ts';
import { type RestoreJournal, writeJournal } from './journal.ts';
import { readMemberSetting } from './member-store.ts';
import { onTimeline, refuseOtherCluster, settingsOf } from './plan-local.ts';
import { type Here, reportOf } from './restore-here.ts';
import { askedOf, type ClusterRestore, type RestoringWish, sameWish } from './restore-local.ts';
import { setAsideNoted } from './set-aside-noted.ts';
import { forgetCluster } from './store-keys.ts';

export interface Begun {
  /** undefined: nothing was begun. */
  readonly journal: RestoreJournal | undefined;
  readonly wish: RestoringWish;
  readonly ask: (plan: ClusterRestore) => Promise<boolean>;
}

/** Everything that may be done while no member runs; the plan is there before. */
export async function begin(here: Here, { journal, wish, ask }: Begun, signal: AbortSignal): Promise<ClusterRestore> {
  const { needs, file, folder, settings } = here;
  const { document, store } = await readMemberSetting(settings.config, file.scope, wish.environment, signal);
  const dbkit = callOf(settings.config, document);
  const begun = journal === undefined ? await planHere(here, wish, document, signal) : sameWish(journal, wish);
  const running = await runningNow(here, signal);
  const plan = reportOf(here, begun, { resumed: journal !== undefined, next: nextBefore(here, running) });
  if (wish.dryRun) return plan;
  refuseRunning(running);
  if (journal === undefined && !(await ask(plan))) return plan;
  await writeJournal(needs.files, folder, begun);
  await forgetCluster(store, signal);
  needs.system.reached('cluster-restore.forgotten');
  const set = await setAside(here, begun);
  await writeRestoreFile(here, document, dbkit, set);
  const last: RestoreJournal = { ...set, phase: 'up' };
  await writeJournal(needs.files, folder, last);
  return reportOf(here, last, { next: nextUp(here) });
}

/** How a member's own Patroni calls dbkit, as `ha render` has written it. */
function callOf(path: string, { postgresql }: MemberDocument): string {
  const { command } = (postgresql?.['dbkit'] ?? {}) as { readonly command?: unknown };
  const [, call] = /^(.+) ha create-replica$/.exec(typeof command === 'string' ? command : '') ?? [];
  if (call !== undefined) return call;
  throw new DbkitError('config.invalid', `${path} does not say how Patroni calls dbkit (postgresql.dbkit.command)`, {
    hint: 'render it with BACKUP_DIR set: `dbkit ha render`; nothing was changed',
  });
}

async function planHere(
  { needs, file, reached }: Here,
  wish: RestoringWish,
  document: MemberDocument,
  signal: AbortSignal,
): Promise<RestoreJournal> {
  if (wish.label === undefined && wish.point === undefined)
    throw new DbkitError('usage.invalid', 'it is not said what to restore', { hint: 'name a backup of `dbkit backup list`, or --to TIME' });
  const { config, system } = needs;
  const cluster = await heldIn(file.dataDir);
  const plan = await planWhole(
    { config, system },
    { ...wish, point: onTimeline(wish.point, cluster), oldData: cluster && file.dataDir },
    signal,
  );
  refuseOtherCluster(plan, cluster);
  const settings =
    (await settingsOf(reached, cluster && file.dataDir, signal)) ?? (document.bootstrap?.dcs as RestoreJournal['settings']) ?? null;
  const at = needs.clock.now().toISOString();
  return {
    schema: 'dbkit.ha-restoring/v1',
    at,
    phase: 'down',
    asked: askedOf(wish),
    plan,
    first: file.name,
    settings,
    oldData: null,
    aside: [],
  };
}

type Running = readonly Pick<MemberFacts, 'name' | 'role'>[];

/** Replicas first: a leader that is stopped before them would hand over to one. */
async function runningNow({ needs, file, reached }: Here, signal: AbortSignal): Promise<Running> {
  const { members } = await look(needs, signal, reached);
  const isOwnUp = typeof (await serverOn(file.dataDir)) === 'object' || (await leftPatroni(needs.config.stateDir)) !== undefined;
  return members
    .filter(
      ({ name, patroni, own, trouble }) =>
        patroni !== null || own !== null || trouble?.kind !== 'silent' || (name === file.name && isOwnUp),
    )
    .toSorted((a, b) => Number(a.role === 'leader') - Number(b.role === 'leader'));
}

function refuseRunning(running: Running): void {
  if (running.length === 0) return;
  const names = running.map(({ name }) => name);
  throw new DbkitError(
    'recovery.refused',
    `${names.join(' and ')} still ${names.length === 1 ? 'runs' : 'run'}: a member that runs would go on with its own data`,
    {
      hint: `type \`systemctl stop patroni\` on ${names.join(', then on ')}, then the same again here; nothing was changed`,
    },
  );
}

const nextBefore = ({ file, reached }: Here, running: Running): readonly string[] => [
  ...running.map(({ name }) => `on ${name}: systemctl stop patroni`),
  ...reached.members
    .filter(({ name }) => running.every((one) => one.name !== name) && name !== file.name)
    .map(({ name }) => `on ${name}: systemctl stop patroni (it does not answer; make sure that it is off)`),
  `on ${file.name}: the same again, without --dry-run`,
];

export const nextUp = ({ file }: Here): readonly string[] => [
  `on ${file.name}: systemctl start patroni`,
  `on ${file.name}: dbkit ha restore`,
];

export async function setAside({ needs, file, folder }: Here, journal: RestoreJournal): Promise<RestoreJournal> {
  const { config, system, files, instance } = needs;
  const wish = {
    member: file.name,
    dataDir: file.dataDir,
    backupDir: config.backupDir,
    owner: await instance.owner(),
    kind: 'replaced',
  } as const;
  return setAsideNoted(journal, wish, (noted) => writeJournal(files, folder, noted), system);
}

async function writeRestoreFile({ needs }: Here, document: MemberDocument, call: string, journal: RestoreJournal): Promise<void> {
  const { default: yaml } = await import('yaml');
  const bootstrap = bootstrapSection(document.bootstrap ?? undefined, { ...journal, call });
  const text = yaml.stringify({ ...document, bootstrap }, { version: '1.1', lineWidth: 0 });
  await needs.files.write(restoreFile(needs.config), text, { mode: 0o600, owner: await needs.instance.owner() });
}
