import { lazily } from '../kernel/load-on-demand.ts';
import type { Backups, BaseBackups, Dumps, Repository } from './backup.ts';
import type { BaseBackupsNeeds } from './base/base-backups.ts';

type Methods<B> = Exclude<keyof B, 'name' | 'kind' | 'repository'>;

const kept = ['list', 'describe', 'annotate', 'expire'] as const satisfies readonly (keyof Repository)[];
const base = [
  'take',
  'stage',
  'verify',
  'prove',
  'descends',
  'changedSinceLast',
  'sameFiles',
  'walSegment',
  'rollsForward',
  'findPoint',
  'serving',
  'reachable',
  'baseline',
] as const satisfies readonly Methods<BaseBackups>[];
const dumps = ['take', 'load', 'loadLate', 'verify', 'onScratchDatabase'] as const satisfies readonly Methods<Dumps>[];

/** Base backups of another engine, whose code is loaded with the first call. */
export function lazyBase(name: BaseBackups['name'], load: () => Promise<BaseBackups>): BaseBackups {
  const loaded = once(load);
  return { name, kind: 'physical', repository: lazily(kept, async () => (await loaded()).repository), ...lazily(base, loaded) };
}

/** Both ways to back an instance up; the first is the default. Their code is loaded with the first call. */
export function createBackups(needs: BaseBackupsNeeds): readonly Backups[] {
  const onDemand = once(async () => (await import('./on-demand.ts')).onDemand);
  const loadBase = once(async () => (await onDemand()).createBaseBackups(needs));
  const loadDumps = once(async () => (await onDemand()).createDumps(needs));
  return [
    lazyBase('copy', loadBase),
    {
      name: 'dump',
      kind: 'logical',
      repository: lazily(kept, async () => (await loadDumps()).repository),
      ...lazily(dumps, loadDumps),
    },
  ];
}

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= load();
    return loading;
  };
}
