import type { Alert } from '../alerts/alert.ts';
import { decide, type Row } from '../kernel/reasons.ts';
import { moment, roughly } from '../kernel/units.ts';
import type { WalGap, WalKeepingState } from '../wal/keeping.ts';

/** The archive as its keeper describes it, at one moment. */
export interface TroubleFacts {
  readonly keeping: WalKeepingState | undefined;
  /** When the newest good base backup was taken. */
  readonly backupAt: string | null;
  /** So long nothing may be kept before somebody is told. */
  readonly limitSeconds: number;
  readonly nowMs: number;
}

/** The newest one that no base backup has closed. */
const openGap = ({ keeping, backupAt }: TroubleFacts): WalGap | undefined =>
  keeping?.gaps.findLast(({ at }) => backupAt === null || at > backupAt);

const failingSeconds = ({ keeping, nowMs }: TroubleFacts): number =>
  keeping?.state === 'failing' && keeping.problem !== null ? (nowMs - Date.parse(keeping.problem.since)) / 1000 : 0;

/** First match wins: a gap stays until a backup has closed it, whatever comes after. */
export const troubleOfArchive = [
  { id: 'archive-gap', when: (facts) => openGap(facts) !== undefined, then: 'tell', words: 'WAL was removed before it was archived' },
  {
    id: 'archive-not-written',
    when: (facts) => failingSeconds(facts) > facts.limitSeconds,
    then: 'tell',
    words: 'the WAL is not kept in the archive',
  },
  {
    id: 'archive-in-doubt',
    when: ({ keeping }) => keeping?.state !== 'keeping',
    then: 'wait',
    words: 'it is not kept now, or not for long',
  },
  { id: 'archive-whole', when: () => true, then: 'resolve', words: 'the WAL is kept, and no gap is open' },
] as const satisfies readonly Row<TroubleFacts, 'tell' | 'wait' | 'resolve'>[];

/** The message; undefined: nothing. Pure. */
export function archiveAlert(facts: TroubleFacts): Alert | undefined {
  const row = decide(troubleOfArchive, facts);
  const alert = { topic: 'wal-archive', resolves: false, title: row.words };
  const gap = openGap(facts);
  const { keeping } = facts;
  switch (row.id) {
    case 'archive-gap':
      return {
        ...alert,
        severity: 'CRITICAL',
        lines: [
          `The WAL from LSN ${gap!.fromLsn} to ${gap!.toLsn} is missing since ${moment(gap!.at)}.`,
          'Older backups cannot be restored to a moment after it. A base backup closes the gap, and the supervisor takes one.',
        ],
        command: 'dbkit backup create',
      };
    case 'archive-not-written':
      return {
        ...alert,
        severity: 'ERROR',
        lines: [
          `It has not been kept for ${roughly(failingSeconds(facts))}: ${keeping!.problem!.message}.`,
          ...(keeping!.problem!.hint === null ? [] : [`${keeping!.problem!.hint}.`]),
        ],
        command: 'dbkit wal status',
      };
    case 'archive-in-doubt':
      return undefined;
    case 'archive-whole':
      return {
        ...alert,
        severity: 'SUCCESS',
        resolves: true,
        title: 'the WAL archive is whole again',
        lines: [`${row.words}.`],
        command: null,
      };
  }
}
