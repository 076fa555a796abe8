import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DbkitError, type Failure, failures } from '../kernel/errors.ts';
import type { ListenAddress } from '../kernel/listen-address.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import { type ForkedProgram, forkProgram } from '../machine/child.ts';
import type { MonitorCheck } from './check.ts';
import type { Picture } from './overview.ts';

/** The content of the pages; JSON has no undefined. */
export type Shown = Omit<Picture, 'now' | 'quietMs' | 'check'> & { readonly check: MonitorCheck | null };

/** From the monitor to its pages. */
export type ToPages =
  | {
      readonly kind: 'listen';
      readonly address: { readonly host: string | null; readonly port: number };
      readonly hosts: readonly string[];
    }
  | { readonly kind: 'shown'; readonly shown: Shown; readonly isChecked: boolean }
  | { readonly kind: 'recovery'; readonly isUnderWay: boolean };
type FromPages = { readonly kind: 'listening'; readonly port: number } | { readonly kind: 'failed'; readonly failure: Failure };

const AGAIN_MS = 1_000;
const AGAIN_MS_MAX = 60_000;
const BEGIN_MS = 30_000;

export interface PageProcess {
  readonly port: number;
  show(shown: Shown, isChecked: boolean): void;
  recovery(isUnderWay: boolean): void;
  close(): Promise<void>;
}

/** The program that shows pages; undefined where dbkit is not bundled. */
function pageProgram(): string | undefined {
  const path = fileURLToPath(new URL('../page-server.js', import.meta.url)); // dist/page-server.js, seen from dist/chunks.
  return existsSync(path) ? path : undefined;
}

/**
 * Begins it, and again whenever it ends by itself. Resolves once it listens; rejects with `port.in-use`, or `service.failed` with the reason.
 */
export async function openPageProcess(
  { address, hosts }: { readonly address: ListenAddress; readonly hosts: readonly string[] },
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<PageProcess> {
  const program = pageProgram();
  if (program === undefined) throw new DbkitError('service.failed', 'the program of the status page is missing: dist/page-server.js');
  const closing = new AbortController();
  let last: Extract<ToPages, { kind: 'shown' }> | undefined;
  let { running, port } = await begin(program, address, hosts);
  const bound = { host: address.host, port };
  const lives = (async () => {
    for (let pauseMs = AGAIN_MS; ; pauseMs = Math.min(2 * pauseMs, AGAIN_MS_MAX)) {
      await running.exited;
      if (closing.signal.aborted) return;
      log.warn('pages.ended', 'the process of the status page ended and is started again');
      await clock.sleep(pauseMs, closing.signal).catch(() => undefined);
      if (closing.signal.aborted) return;
      await begin(program, bound, hosts).then(
        (begun) => {
          running = begun.running;
          if (last) running.send({ ...last, isChecked: false });
        },
        (cause: unknown) =>
          log.warn('pages.failed', `the status page cannot be shown: ${cause instanceof Error ? cause.message : String(cause)}`),
      );
    }
  })();
  const tell = (message: ToPages): void => running.send(message);
  return {
    port,
    show: (shown, isChecked) => {
      last = { kind: 'shown', shown, isChecked };
      tell(last);
    },
    recovery: (isUnderWay) => tell({ kind: 'recovery', isUnderWay }),
    async close() {
      closing.abort();
      running.end();
      await lives;
    },
  };
}

async function begin(program: string, address: ListenAddress, hosts: readonly string[]): Promise<{ running: ForkedProgram; port: number }> {
  const running = forkProgram(program);
  const listen: ToPages = { kind: 'listen', address: { host: address.host ?? null, port: address.port }, hosts };
  let late: NodeJS.Timeout | undefined;
  const answer = new Promise<FromPages | 'ended' | 'late'>((resolve) => {
    running.onMessage((message) => resolve(message as FromPages));
    void running.exited.then(() => resolve('ended'));
    late = setTimeout(() => resolve('late'), BEGIN_MS);
  });
  running.send(listen);
  const said = await answer;
  clearTimeout(late);
  if (said === 'ended' || said === 'late') {
    running.end();
    throw new DbkitError('service.failed', 'the process of the status page could not be started');
  }
  if (said.kind === 'listening') return { running, port: said.port };
  const { code, message, hint } = said.failure;
  throw new DbkitError(code in failures ? code : 'service.failed', message, { hint: hint ?? undefined });
}
