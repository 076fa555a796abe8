import type { ExpireReport } from '../backups/expire-backups.ts';
import type { ListedBackup } from '../backups/list-backups.ts';
import type { ShownBackup } from '../backups/show-backup.ts';
import type { BackupReport } from '../backups/take-backup.ts';
import type { VerifyReport } from '../backups/verify-backups.ts';
import { parseLabel } from '../kernel/labels.ts';
import { bytes, duration, moment } from '../kernel/units.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

const kinds = { physical: 'base', logical: 'dump' } as const;
const looks = { good: 'strong', verified: 'good', proven: 'good', damaged: 'bad' } as const satisfies Record<
  ListedBackup['state'],
  keyof Style
>;

/** 'verified, pinned', coloured by what it is worth. */
const worth = ({ state, pinned, knownDamage = [] }: ListedBackup, style: Style): string =>
  `${state === 'good' ? state : style[looks[state]](state)}${knownDamage.length > 0 ? `, ${style.bad('with known damage')}` : ''}${pinned ? ', pinned' : ''}`;

const ago = (iso: string, now: Date): string => `${duration(Math.max(0, (now.getTime() - Date.parse(iso)) / 1000))} ago`;

export function listView(backups: readonly ListedBackup[], style: Style, now: Date): string {
  if (backups.length === 0) return 'no backups yet; `dbkit backup create` takes one';
  const rows = backups.map((backup) => [
    backup.label,
    ago(backup.createdAt, now),
    kinds[backup.kind],
    bytes(backup.sizeBytes),
    bytes(backup.newBytes),
    worth(backup, style),
    String(backup.pgVersion),
    backup.note ?? '',
  ]);
  return table(rows, ['label', 'age', 'kind', 'size', 'new', 'state', 'PostgreSQL', 'note'].map(style.dim));
}

/** The same rows to choose from. */
export function choiceView(backups: readonly ListedBackup[], style: Style, now: Date): { name: string; value: string }[] {
  const lines = table(
    backups.map((backup) => [backup.label, ago(backup.createdAt, now), bytes(backup.sizeBytes), worth(backup, style), backup.note ?? '']),
  ).split('\n');
  return backups.map(({ label }, index) => ({ name: lines[index]!, value: label }));
}

export function createdView(report: BackupReport, style: Style): string {
  return [backupWords(report, style), carrierWords(report)].filter(Boolean).join('\n');
}

/** Taken here because a person wished it: the member that the schedule would have chosen. */
const carrierWords = ({ backup, carrier }: BackupReport): string =>
  backup === null || carrier === undefined || carrier.isHere
    ? ''
    : `the schedule leaves base backups to ${carrier.member}: ${carrier.because}`;

function backupWords(report: BackupReport, style: Style): string {
  if (report.backup === null && report.carrier?.isHere === false)
    return `no backup here, it is the turn of ${style.strong(report.carrier.member ?? 'another member')}: ${report.because}`;
  if (report.backup === null) return `no backup needed: ${report.because}`;
  const { label, sizeBytes, newBytes, state, pinned } = report.backup;
  const size = `${bytes(sizeBytes)}, ${bytes(newBytes)} new${pinned ? ', pinned' : ''}`;
  if (state === 'damaged')
    return `${style.bad('damaged')}: backup ${label} (${size}) holds damaged pages; it is kept, and never used for a restore unasked\nHINT: \`dbkit backup show ${label}\` names the files, \`dbkit inspect --deep\` looks at the data`;
  return `backup ${style.strong(label)}, ${size}`;
}

export function showView({ backup, details, retention }: ShownBackup, style: Style, now: Date): string {
  const when = (iso: string | null, never: string): string => (iso === null ? never : `${moment(iso)} (${ago(iso, now)})`);
  const facts: (readonly [string, string])[] = [
    ['label', style.strong(backup.label)],
    ['made', when(backup.createdAt, '')],
    ['kind', `${kinds[backup.kind]}, engine ${backup.engine}, PostgreSQL ${backup.pgVersion}`],
    ['state', worth(backup, style)],
    ['size', `${bytes(backup.sizeBytes)}, ${bytes(backup.newBytes)} new`],
    ['note', backup.note ?? ''],
    ['verified', when(backup.verifiedAt, 'never: `dbkit backup verify` does it')],
    ['proven', when(backup.provenAt, 'never')],
    ['retention', retention === null ? '' : `${retention.keep ? 'kept' : 'goes with the next cleanup'}: ${retention.because}`],
    [
      'path',
      backup.isPlain === false ? `${backup.path} (no data directory: \`dbkit backup open ${backup.label}\` makes one)` : backup.path,
    ],
    ...Object.entries(details).map(([name, value]) => detail(name, value)),
  ];
  return table(facts.filter(([, value]) => value !== '').map(([name, value]) => [style.dim(name), value]));
}

/** A name of the engine's, and its value in the unit that the name ends with. */
function detail(name: string, value: ShownBackup['details'][string]): readonly [string, string] {
  const [, stem, unit] = /^(.*?)(Bytes|Ms)?$/.exec(name)!;
  const words = stem!.replace(/[A-Z]+/g, (letters) => ` ${letters.toLowerCase()}`).replace(/ (lsn)$/, ' LSN');
  if (value === null || (Array.isArray(value) && value.length === 0)) return [words, ''];
  if (unit === 'Bytes') return [words, bytes(Number(value))];
  if (unit === 'Ms') return [words, `${(Number(value) / 1000).toFixed(1)} s`];
  if (typeof value === 'boolean') return [words, value ? 'yes' : 'no'];
  return [words, Array.isArray(value) ? value.join(', ') : String(value)];
}

export function verifyView({ backups, deep }: VerifyReport, style: Style): string {
  const rows = backups.map(({ label, ok, problem, sizeBytes, durationMs }) => [
    ok ? style.good('ok') : style.bad('damaged'),
    label,
    ok
      ? `${bytes(sizeBytes)} in ${(durationMs / 1000).toFixed(1)} s${deep && parseLabel(label)?.kind === 'data' ? ', pages and WAL too' : ''}`
      : problem!,
  ]);
  const damaged = backups.filter(({ ok }) => !ok).length;
  const hint = damaged === 0 ? '' : '\nHINT: take a new one now: `dbkit backup create --full`; a damaged one is not used for a restore';
  return `${table(rows)}${hint}`;
}

export function cleanupView({ decisions, quarantine }: ExpireReport, dryRun: boolean, style: Style): string {
  const goes = style.warn(dryRun ? 'would remove' : 'removed');
  const rows = [...decisions, ...quarantine].map(({ label, keep, because }) => [keep ? 'keep' : goes, label, because]);
  return rows.length === 0 ? 'no backups yet' : table(rows);
}
