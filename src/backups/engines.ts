import { lazily } from '../kernel/load-on-demand.ts';
import type { BackupEngine } from './backup.ts';
import type { CopyEngine, CopyEngineNeeds } from './base/copy-engine.ts';
import type { DumpEngine } from './dump/dump-engine.ts';

type Methods<E> = Exclude<keyof E, 'name' | 'kind'>;

const both = ['list', 'backup', 'restore', 'verify', 'describe', 'annotate', 'expire'] as const satisfies readonly Methods<
  CopyEngine & DumpEngine
>[];
const copies = [
  ...both,
  'descends',
  'prove',
  'changedSinceLast',
  'sameFiles',
  'rollsForward',
] as const satisfies readonly Methods<CopyEngine>[];
const dumps = [...both, 'load', 'onScratchDatabase'] as const satisfies readonly Methods<DumpEngine>[];

/** Both ways to back an instance up; the first is the default. */
export const createEngines = (needs: CopyEngineNeeds): readonly BackupEngine[] => [
  {
    name: 'copy',
    kind: 'physical',
    ...lazily(copies, async () => (await import('./engines-on-demand.ts')).onDemand.createCopyEngine(needs)),
  },
  {
    name: 'dump',
    kind: 'logical',
    ...lazily(dumps, async () => (await import('./engines-on-demand.ts')).onDemand.createDumpEngine(needs)),
  },
];
