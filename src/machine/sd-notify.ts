import { wordsOf } from '../kernel/errors.ts';
import type { Logger, Runner } from '../kernel/machine.ts';
import type { SdNotify } from './systemd-contract.ts';

const TIMEOUT_MS = 5_000;

/**
 * systemd, where it started this process with Type=notify (sd_notify(3)). Node opens no datagram sockets in the file system, so it is told
 * through systemd-notify, which needs NotifyAccess=all. The watchdog is this process's own only where WATCHDOG_PID says so.
 */
export function createSdNotify(
  { runner, log }: { readonly runner: Runner; readonly log: Logger },
  environment: Readonly<Record<string, string | undefined>>,
): SdNotify {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = environment;
  const isOurs = socket !== undefined && usec !== undefined && (pid === undefined || Number(pid) === process.pid);
  const watchdogMs = isOurs ? Number(usec) / 1000 : Number.NaN;
  return {
    watchdogMs: watchdogMs > 0 ? watchdogMs : null,
    async tell(...assignments) {
      if (socket === undefined) return;
      const tool = { file: 'systemd-notify', args: assignments, env: { NOTIFY_SOCKET: socket }, timeoutMs: TIMEOUT_MS };
      await runner.run({ ...tool, as: 'caller' }, new AbortController().signal).catch((cause: unknown) => {
        log.debug('notify.untold', `systemd could not be told ${assignments.join(' ')}: ${wordsOf(cause)}`);
      });
    },
  };
}
