import type { ReachedEnd } from '../backups/backup.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import type { Finding } from '../inspection/findings.ts';
import { type Loss, nothing, type UnknownReason } from './losses.ts';
import type { Plan, Source } from './plan.ts';
import type { Remedy } from './remedy.ts';

/** Damage that the server starts with, and that nothing tells what files held. */
export const damageOf = (plan: Plan): Loss[] => [
  ...plan.steps.filter(({ remedy }) => remedy.loses === 'object').map(({ finding }) => damageLoss(finding)),
  ...unheardOf(plan),
];

/** One file that the server runs without. */
export function damageLoss(finding: Finding): Loss {
  const { code, path, evidence, relation = null, blocks = [], rows = null } = finding;
  const damaged = { path, evidence, relation, oldBytes: null };
  if (code === 'database.missing') return { kind: 'database', database: null, ...damaged };
  if (code === 'relation.missing' && relation !== null) return { kind: 'table', rows: null, ...damaged };
  if (blocks.length > 0) return { kind: 'pages', blocks, rows, ...damaged };
  return { kind: 'file', code, ...damaged };
}

/** A prepared transaction of which neither a copy nor the WAL is left: with it goes all that it had written. */
export const preparedLoss = ({ code, path, evidence }: Finding, oldBytes: string | null): Loss => ({
  kind: 'file',
  code,
  path,
  evidence,
  relation: null,
  oldBytes,
});

/** Replication slots, and the progress of origins, that a repair sets aside. */
export const replicationOf = (plan: Plan, oldBytes: string | null): Loss[] =>
  plan.steps.flatMap(({ remedy: { loses }, finding: { path } }): Loss[] =>
    loses === 'slot' || loses === 'origins' ? [{ kind: loses, path, oldBytes }] : [],
  );

/** WAL that recovery does not come to. Where its last is the archive's, nobody knows what was written behind it. */
export function walOf({ steps, ledOn, inspection: { behindGap } }: Plan): Loss[] {
  const loses = (what: Remedy['loses']): boolean => steps.some(({ remedy }) => remedy.loses === what);
  const window = { kind: 'window', after: null, oldBytes: null } as const;
  if (behindGap && loses('wal-behind-a-gap'))
    return [{ ...window, afterLsn: formatLsn(behindGap.from), upTo: behindGap.lastAt, upToLsn: formatLsn(behindGap.end) }];
  if (ledOn?.endsInArchive && loses('wal-behind-the-archive'))
    return [{ ...window, afterLsn: formatLsn(ledOn.end), upTo: null, upToLsn: null }];
  return [];
}

/** `replaced`: where the data went that a new cluster takes the place of; null where there was none. */
export const newClusterLoses = (replaced: string | null): readonly Loss[] =>
  replaced === null ? nothing : [{ kind: 'cluster', oldBytes: replaced }];

/** `reached`: the place in the WAL that the restored data is of; undefined where nobody knows yet. */
export function restoreLoses({ backup, rollsForward }: Source, reached: ReachedEnd | undefined, oldBytes: string | null): readonly Loss[] {
  if (rollsForward) return nothing;
  if (reached === undefined) return [{ kind: 'since-backup', label: backup.label, at: backup.createdAt, oldBytes }];
  const { at, lsn, owedLsn, phrase } = reached;
  return [{ kind: 'window', after: at, afterLsn: lsn, upTo: null, upToLsn: owedLsn, phrase, oldBytes }];
}

/** Rows that no dump holds any more than a base backup does; `oldBytes`: where the data went. */
export const dumpLoses = ({ dump }: Pick<Plan, 'dump'>, oldBytes: string | null): readonly Loss[] =>
  dump === undefined
    ? nothing
    : [{ kind: 'since-backup', label: dump.backup.label, at: dump.backup.dataAt ?? dump.backup.createdAt, oldBytes }];

/** Until the server has built what is an index: of these files nobody knows. */
const untoldOf = ({ findings }: Plan): Loss[] => (findings.some(({ code }) => code === 'relation.touched') ? [unknown('touched')] : []);

/** Of a standby the server that it follows knows. */
const unheardOf = ({ inspection: { unheard, follows } }: Plan): Loss[] => (unheard && !follows ? [unknown(unheard)] : []);

const unknown = (reason: UnknownReason): Loss => ({ kind: 'unknown', reason, oldBytes: null });

/** The losses that carrying it out would lose, as far as can be told before. */
export function plannedLosses(plan: Plan): readonly Loss[] {
  switch (plan.decision) {
    case 'start':
      return [...damageOf(plan), ...untoldOf(plan)];
    case 'repair':
      return [...damageOf(plan), ...untoldOf(plan), ...replicationOf(plan, null), ...walOf(plan)];
    case 'restore':
      return plan.backup || plan.partial ? restoreLoses((plan.backup ?? plan.partial)!, undefined, null) : dumpLoses(plan, null);
    case 'reinitialize':
      return [{ kind: 'cluster', oldBytes: null }];
    case 'initialize':
    case 'refuse':
      return nothing;
  }
}
