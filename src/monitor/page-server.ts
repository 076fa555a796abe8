import { DbkitError, toFailure } from '../kernel/errors.ts';
import { clock } from '../machine/clock.ts';
import { servePages } from '../machine/http-endpoint.ts';
import type { Shown, ToPages } from './page-process.ts';
import { picturePage, probePage } from './pages.ts';

/**
 * The monitor's pages in a process of their own: however many clients come, and whatever they send, the monitor and the container keep their
 * descriptors and their time. It knows what it is told, asks nobody, and ends when the line to the monitor does.
 */
let shown: Shown | undefined;
let checkedMs = clock.monotonicMs();
let isRecovering = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined); // Meant for the monitor, which ends it.

process.on('message', (message: ToPages) => {
  switch (message.kind) {
    case 'listen':
      void listen(message);
      return;
    case 'shown':
      if (message.isChecked) checkedMs = clock.monotonicMs();
      shown = message.shown;
      return;
    case 'recovery':
      isRecovering = message.isUnderWay;
      checkedMs = clock.monotonicMs();
  }
});

async function listen({ address, hosts }: Extract<ToPages, { kind: 'listen' }>): Promise<void> {
  try {
    const endpoint = await servePages({ host: address.host ?? undefined, port: address.port }, async (path) => pageAt(path), hosts);
    process.send?.({ kind: 'listening', port: endpoint.port });
    process.once('disconnect', () => void endpoint.close());
  } catch (cause) {
    process.send?.({ kind: 'failed', failure: toFailure(cause) });
    process.disconnect();
  }
}

async function pageAt(path: string) {
  if (shown === undefined) throw new DbkitError('service.unready', 'no check has run yet');
  const { check, intervalMs } = shown;
  const quietMs = clock.monotonicMs() - checkedMs;
  const now = clock.now();
  const known = { ...shown, now, quietMs, check: check ?? undefined };
  return probePage(path, { last: check ?? undefined, quietMs, intervalMs, isRecovering }) ?? picturePage(path, async () => known);
}
