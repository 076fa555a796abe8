import { lazily, loadedOnce } from '../kernel/load-on-demand.ts';
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

/** Base backups of one engine, whose code is loaded with the first call, and its repository's before, where that can be had alone. */
export function lazyBase(
  name: BaseBackups['name'],
  load: () => Promise<BaseBackups>,
  loadRepository?: () => Promise<Repository>,
): BaseBackups {
  const loaded = loadedOnce(load);
  const repository = lazily(kept, loadRepository ?? (async () => (await loaded()).repository));
  return { name, kind: 'physical', repository, ...lazily(base, loaded) };
}

/** Both ways to back an instance up; the first is the default. Their code is loaded with the first call. */
export function createBackups(needs: BaseBackupsNeeds): readonly Backups[] {
  const repositories = loadedOnce(async () => (await import('./repositories.ts')).openRepositories(needs));
  const loadBase = async () => (await import('./base/base-backups.ts')).createBaseBackups(needs);
  const loadDumps = async () => (await import('./dump/dumps.ts')).createDumps(needs);
  return [
    lazyBase('copy', loadBase, async () => (await repositories()).base),
    {
      name: 'dump',
      kind: 'logical',
      repository: lazily(kept, async () => (await repositories()).dumps),
      ...lazily(dumps, loadDumps),
    },
  ];
}
