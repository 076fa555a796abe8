import { join } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import { planWhole, type WholePlan, type WholeWish } from '../copying/whole-plan.ts';
import { localBackups } from '../local/local-plan.ts';
import type { Starting } from '../local/start.ts';
import { type ClusterNeeds, look, type Reach, reach } from '../look.ts';
import { furthestFirst, type HeldData, heldIn } from './held-data.ts';
import type { RestoreJournal } from './journal.ts';
import type { RestoringNeeds } from './restore-local.ts';

/** The whole way back, looked up while everything is still as it is. Rejects with the reason where there is none. */
export async function planLocal(
  needs: RestoringNeeds,
  here: ClusterNeeds,
  starting: Starting,
  wish: Pick<WholeWish, 'label' | 'point'>,
  signal: AbortSignal,
): Promise<Pick<RestoreJournal, 'plan' | 'first' | 'settings'>> {
  const { members } = starting.plan;
  const reached = await reach(here);
  const { leader } = await look(here, signal, reached);
  const held = (await Promise.all(members.map(async (member) => ({ member, data: await heldIn(member.dataDir) })))).flatMap(
    ({ member, data }) => (data === undefined ? [] : [{ member, ...data }]),
  );
  const first = held.find(({ member }) => member.name === leader) ?? held.toSorted(furthestFirst)[0];
  const config = {
    ...needs.config,
    backupDir: localBackups(starting.folder),
    postgresql: { ...needs.config.postgresql, dataDir: members[0]!.dataDir },
  };
  const plan = await planWhole(
    { config, system: needs.system },
    { ...wish, point: onTimeline(wish.point, first), oldData: first?.member.dataDir },
    signal,
  );
  refuseOtherCluster(plan, first);
  const settings = await settingsOf(reached, first?.member.dataDir, signal);
  return { plan, first: first?.member.name ?? members[0]!.name, settings };
}

/** A moment is one of the timeline that the data is on, unless another one is named. */
export const onTimeline = (point: WholeWish['point'], held: Pick<HeldData, 'timeline'> | undefined): WholeWish['point'] =>
  point === undefined || held === undefined || point.timeline !== undefined ? point : { ...point, timeline: held.timeline };

export function refuseOtherCluster({ label, systemIdentifier }: WholePlan, first: { readonly systemIdentifier: string } | undefined): void {
  if (first === undefined || systemIdentifier === first.systemIdentifier) return;
  throw new DbkitError('recovery.refused', `${label} is of cluster ${systemIdentifier}, and the members hold ${first.systemIdentifier}`, {
    hint: 'name a backup of this cluster; nothing was changed',
  });
}

/** `/config` of whoever answers, else what Patroni keeps beside the data; null: nobody knows. */
export async function settingsOf(reached: Reach, dataDir: string | undefined, signal: AbortSignal): Promise<RestoreJournal['settings']> {
  const answers = await Promise.all(reached.members.map((member) => reached.ask(member, '/config', signal)));
  const said = answers.find(({ status }) => status === 200)?.json;
  return withoutPause(said ?? (dataDir === undefined ? undefined : await keptSettings(dataDir)));
}

/** Patroni keeps the shared settings beside the data (config.py, CACHE_FILENAME). */
const keptSettings = async (dataDir: string): Promise<unknown> =>
  readPlainText(join(dataDir, 'patroni.dynamic.json')).then(
    (text) => JSON.parse(text) as unknown,
    () => undefined,
  );

/** A cluster that is paused promotes nobody, the restored one neither. */
function withoutPause(settings: unknown): RestoreJournal['settings'] {
  if (typeof settings !== 'object' || settings === null) return null;
  const { pause: _pause, dbkit_pause_until: _until, ...rest } = settings as Record<string, unknown>;
  return rest;
}
