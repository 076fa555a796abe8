import type { CopyStanding } from '../../backups/offsite/standing.ts';
import type { Levels } from '../../config/health-settings.ts';
import { bytes, roughly } from '../../kernel/units.ts';
import { judge, worstOf } from '../health.ts';
import type { ProbeStatus, ResultOf } from '../probe.ts';

interface Judged {
  readonly status: Exclude<ProbeStatus, 'skipped'>;
  readonly words: string;
  readonly hint?: string;
}

export interface CopyLimits {
  /** Hours since the newest backup there. */
  readonly copyAge: Levels;
  /** Seconds that WAL may be kept here and not be there: never more than the tier may lose. */
  readonly walDelay: Levels;
  readonly rpoSeconds: number | null;
}

/** How far the copies elsewhere are behind, and whether their keys open them: the worst one counts, all are told. Pure. */
export function judgeCopies(standings: readonly CopyStanding[], limits: CopyLimits, now: Date): ResultOf<'copies'> {
  const secondsSince = (iso: string): number => Math.max(0, (now.getTime() - Date.parse(iso)) / 1000);
  const judged = standings.map((one) => worseOf(judgeOne(one, limits.copyAge, secondsSince), judgeWal(one, limits, secondsSince)));
  const status = worstOf(judged.map((one) => one.status));
  const worst = judged.filter((one) => one.status === status);
  const hint = status === 'ok' ? undefined : worst.find((one) => one.hint !== undefined)?.hint;
  return {
    status,
    summary: (status === 'ok' ? judged : worst).map(({ words }) => words).join('; '),
    ...(hint === undefined ? {} : { hint }),
    data: standings.map(({ name, notes, key, wal }) => {
      const newest = newestVerified(notes.backups);
      return {
        name,
        key: key.state,
        label: newest?.label ?? null,
        ageSeconds: newest === undefined ? null : Math.round(secondsSince(newest.createdAt)),
        backups: notes.backups.filter(({ verifiedAt, problem }) => verifiedAt !== null && problem === null).length,
        failing: notes.failing?.message ?? null,
        walLagBytes: wal?.lag?.bytes ?? null,
        walLagSeconds: wal?.lag?.seconds ?? null,
        walFailing: wal?.failing?.message ?? null,
        rpoSeconds: limits.rpoSeconds,
      };
    }),
  };
}

const newestVerified = (backups: CopyStanding['notes']['backups']) =>
  backups.findLast(({ verifiedAt, problem }) => verifiedAt !== null && problem === null);

/** The WAL there: it is late only by time, as what is lost is judged by time. Undefined: there is nothing to say of it. */
function judgeWal(
  { name, wal }: CopyStanding,
  { walDelay, rpoSeconds }: CopyLimits,
  secondsSince: (iso: string) => number,
): Judged | undefined {
  if (wal === undefined) return undefined;
  const { lag, failing } = wal;
  const seconds = lag?.seconds ?? (failing === null ? 0 : secondsSince(failing.since)); // Nothing was ever sent there.
  const status = judge(seconds, walDelay);
  if (status === 'ok') return undefined;
  const why = failing === null ? '' : `: ${failing.message}`;
  const target = rpoSeconds === null ? '' : `, and the tier may lose ${roughly(rpoSeconds)}`;
  const behind = lag === null ? 'has not been sent for' : `is ${bytes(lag.bytes)} behind, for`;
  return {
    status,
    words: `${name}: its WAL ${behind} ${roughly(seconds)}${target}${why}`,
    hint: `\`dbkit wal copy --to ${name}\` sends it now and says what hinders it; it is kept here meanwhile`,
  };
}

/** Of two that are equally bad the first. */
const worseOf = (one: Judged, other: Judged | undefined): Judged =>
  other !== undefined && worstOf([one.status, other.status]) !== one.status ? other : one;

/** First match wins. */
function judgeOne({ name, notes, key }: CopyStanding, levels: Levels, secondsSince: (iso: string) => number): Judged {
  const { backups, failing } = notes;
  if (key.state === 'does-not-open')
    return {
      status: 'critical',
      words: `${name}: ${key.problem ?? 'no identity opens it'}`,
      hint: '`dbkit keys check` says which identity opens what',
    };
  const damaged = backups.find(({ problem }) => problem !== null);
  if (damaged !== undefined)
    return {
      status: 'critical',
      words: `${name}: ${damaged.label} is damaged there: ${damaged.problem}`,
      hint: `\`dbkit backup verify --copy ${name}\` reads every byte again; \`dbkit backup create\` takes a new backup and copies it`,
    };
  const newest = newestVerified(backups);
  const since = failing === null ? null : secondsSince(failing.since);
  if (since !== null) {
    const isOld =
      judge(since / 3600, levels) === 'critical' || (newest && judge(secondsSince(newest.createdAt) / 3600, levels) === 'critical');
    return {
      status: isOld ? 'critical' : 'warning',
      words: `${name}: nothing could be copied for ${roughly(since)}: ${failing!.message}`,
      hint: '`dbkit backup copy` tries it again',
    };
  }
  if (newest === undefined)
    return { status: 'warning', words: `${name}: nothing is known to be there`, hint: '`dbkit backup copy` copies the newest backup' };
  const ageSeconds = secondsSince(newest.createdAt);
  return {
    status: judge(ageSeconds / 3600, levels),
    words: `${name} has ${newest.label}, ${roughly(ageSeconds)} old, verified`,
    hint: '`dbkit backup create` takes a new one and copies it',
  };
}
