import type { PointRequest } from '../backups/base/points/point.ts';
import type { Refusal, Row } from '../kernel/reasons.ts';

/** The facts of a moment when a backup of pgBackRest is chosen for it. */
export interface RestPointFacts {
  readonly to: PointRequest['to'];
  /** A person has named the backup. */
  readonly isNamed: boolean;
  /** Good backups that lead to the timeline. */
  readonly onTheWay: number;
  /** Those of them that ended before the moment; all of them where only WAL tells the moment. */
  readonly before: number;
}

type RestPoint = Row<RestPointFacts, 'restore' | 'refuse'> & { readonly refusal?: Refusal };

const refuses = (hint: string) => ({ then: 'refuse', refusal: { code: 'recovery.refused', hint } }) as const;
const restores = { then: 'restore' } as const;

/** Which moments can be asked of pgBackRest, and who finds the place? First match wins. */
export const restPointRows = [
  {
    id: 'rest-point-without-backup',
    when: ({ onTheWay }) => onTheWay === 0,
    ...refuses('`dbkit backup list` shows the backups, `dbkit backup show LABEL` their timeline; nothing was changed'),
    words: 'no good backup leads to that timeline',
  },
  {
    id: 'rest-point-needs-a-backup',
    when: ({ to, isNamed, onTheWay }) => (to === 'xid' || to === 'name') && !isNamed && onTheWay > 1,
    ...refuses('name a backup that ended before it: `dbkit backup restore LABEL --to-xid NUMBER`; nothing was changed'),
    words: 'only the WAL tells when that was, and pgBackRest wants to know the backup before it reads any',
  },
  {
    id: 'rest-point-before-backups',
    when: ({ before }) => before === 0,
    ...refuses('name a later moment; `dbkit backup list` shows the backups; nothing was changed'),
    words: 'it is before the end of every backup that could lead there',
  },
  {
    id: 'rest-point-is-the-end',
    when: ({ to }) => to === 'latest',
    ...restores,
    words: 'all WAL that the repository and pg_wal have is replayed',
  },
  {
    id: 'rest-point-in-the-wal',
    when: () => true,
    ...restores,
    words: 'PostgreSQL replays up to it, and the copy does not start where the WAL does not reach it',
  },
] as const satisfies readonly RestPoint[];
