import type { Connection } from '../instance/connection.ts';
import { isAbort } from '../kernel/errors.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import type { Chore } from './needs.ts';

const EVERY_MS = 500;

/** PostgreSQL's progress views (chapter "Progress Reporting"), each as a phase with pages done of all. Which of them a rebuild moves depends on its phase. */
const views: Record<Chore, string> = {
  vacuum: `SELECT phase, heap_blks_scanned AS done, heap_blks_total AS total FROM pg_stat_progress_vacuum WHERE pid = $1
           UNION ALL SELECT phase, sample_blks_scanned, sample_blks_total FROM pg_stat_progress_analyze WHERE pid = $1`,
  analyze: 'SELECT phase, sample_blks_scanned AS done, sample_blks_total AS total FROM pg_stat_progress_analyze WHERE pid = $1',
  reindex: `SELECT phase, CASE WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END AS done,
                   CASE WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END AS total
              FROM pg_stat_progress_create_index WHERE pid = $1`,
};

interface Row {
  readonly phase: string;
  readonly done: string;
  readonly total: string;
}

export interface Watched {
  readonly chore: Chore;
  readonly target: string;
  /** The backend that works. */
  readonly pid: number;
}

/** Tells how far `work` is, from a session beside it. What the views do not say changes nothing for the work. */
export async function withProgress<T>(
  watcher: Connection,
  { chore, target, pid }: Watched,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  work: Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(EVERY_MS, over.signal);
      const [row] = await watcher.query<Row>(views[chore], [pid]);
      if (!row) continue;
      const total = Number(row.total);
      log.progress('maintenance.progress', `${chore} ${target}: ${row.phase}`, {
        done: Number(row.done),
        ...(total > 0 ? { total } : {}),
        unit: 'pages',
      });
    }
  };
  const watching = watch().catch((cause: unknown) => {
    if (!isAbort(cause)) log.debug('maintenance.unwatched', `the progress views cannot be read: ${String(cause)}`);
  });
  try {
    return await work;
  } finally {
    over.abort();
    await watching;
  }
}
