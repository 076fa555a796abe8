import { hostname } from 'node:os';
import { listBackups } from '../backups/list-backups.ts';
import { lastTrials } from '../cluster/drill/evidence.ts';
import { wordsOf } from '../kernel/errors.ts';
import { type ListenAddress, listenAddress } from '../kernel/listen-address.ts';
import type { MonitorCheck } from '../monitor/check.ts';
import { openPageProcess, type Shown } from '../monitor/page-process.ts';
import type { Parts } from './parts.ts';

/** A monitor's pages, and where it leaves what it saw. */
export interface MonitorPages {
  readonly port: number;
  onCheck(check: MonitorCheck): void;
  onRecovery(isUnderWay: boolean): void;
  close(): Promise<void>;
}

/** Shows what a monitor sees over HTTP where a flag or the configuration says so, until it is closed; in a process of its own. */
export async function openPages(
  app: Pick<Parts, 'clock' | 'config' | 'files' | 'backups' | 'history' | 'memory' | 'log'>,
  { listen, intervalMs, version }: { readonly listen: ListenAddress | undefined; readonly intervalMs: number; readonly version: string },
): Promise<MonitorPages | undefined> {
  const { monitor } = app.config;
  const address = listen ?? (monitor.listen === undefined ? undefined : listenAddress(monitor.listen));
  if (address === undefined) return undefined;
  const host = hostname();
  let known: Shown = {
    host,
    environment: app.config.alerts.environment ?? null,
    version,
    check: null,
    intervalMs,
    samples: [],
    backups: [],
    recoveries: [],
    drills: [],
  };
  /** A figure that cannot be read stays as it was when it was last read. */
  const lookAgain = async (check: MonitorCheck | null): Promise<Shown> => {
    const kept = <T>(reading: Promise<T>, before: T): Promise<T> =>
      reading.catch((cause: unknown) => {
        app.log.debug('pages.not-read', `the pages show what was known before: ${wordsOf(cause)}`);
        return before;
      });
    const [backups, samples, recoveries, drills] = await Promise.all([
      kept(
        listBackups(app, new AbortController().signal).then((report) => report.backups),
        known.backups,
      ),
      kept(app.memory.samples(), known.samples),
      kept(app.history.all(), known.recoveries),
      kept(lastTrials(app), known.drills),
    ]);
    known = { ...known, check: check ?? known.check, backups, samples, recoveries, drills };
    return known;
  };
  const pages = await openPageProcess({ address, hosts: monitor.hosts }, app);
  app.log.info('pages.begun', `status page: http://${address.host ?? host}:${pages.port}/`);
  pages.show(await lookAgain(null), false);
  return {
    port: pages.port,
    onCheck: (check) => void lookAgain(check).then((shown) => pages.show(shown, true)),
    onRecovery: (isUnderWay) => pages.recovery(isUnderWay),
    close: () => pages.close(),
  };
}
