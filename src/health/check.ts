import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { nearest } from '../kernel/closest-name.ts';
import { within } from '../kernel/deadline.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Clock, Locks, Logger } from '../kernel/machine.ts';
import { type HealthReport, isOf, type ProbeReport, worstOf } from './health.ts';
import { type Probe, type Probed, type ProbeResult, probeNames, probesOf } from './probe.ts';

type Needs = { readonly config: Config; readonly services: readonly Probed[]; readonly clock: Clock };

export interface HealthRequest {
  /** Only these; empty: every probe that is not disabled. */
  readonly only: readonly string[];
}

/** Asks every probe at once, each with its own patience, and never hangs: what does not answer is a finding. Rejects with `usage.invalid`. */
export async function checkHealth(app: Needs, { only }: HealthRequest, signal: AbortSignal): Promise<HealthReport> {
  const { clock } = app;
  const chosen = await choose(app, only);
  const at = clock.now().toISOString();
  const begunMs = clock.monotonicMs();
  const patienceMs = 2_000 * app.config.health.timeoutSeconds + 500;
  const probes = await Promise.all(
    chosen.map(async ({ service, probe }): Promise<ProbeReport> => {
      const { status, summary, hint, data } = await answerOf(probe, probe.timeoutMs ?? patienceMs, signal);
      const durationMs = rounded(clock.monotonicMs() - begunMs);
      return {
        service,
        name: probe.name,
        title: probe.title ?? probe.name,
        status,
        summary,
        hint: hint ?? null,
        data: data ?? null,
        durationMs,
      };
    }),
  );
  signal.throwIfAborted();
  return { status: worstOf(probes.map(({ status }) => status)), at, durationMs: rounded(clock.monotonicMs() - begunMs), probes };
}

/** Checks at once beyond these wait for each other: fifty would fill the server's connections, and call it slow for what they do to it. */
const TURNS = 4;
/** Then it asks all the same: one that hangs must not keep the others from saying so. */
const TURN_MS = 30_000;

/** The same, for checks that anybody may begin at any time: a few at once, the others after them. */
export async function checkInTurn(
  app: Needs & { readonly locks: Pick<Locks, 'turn'> },
  request: HealthRequest,
  signal: AbortSignal,
): Promise<HealthReport> {
  const places = Array.from({ length: TURNS }, (_, index) => join(app.config.stateDir, `health-turn-${index + 1}`));
  const turn = await app.locks.turn(places, TURN_MS, signal);
  try {
    return await checkHealth(app, request, signal);
  } finally {
    await turn?.release();
  }
}

/** Asks again until nothing is critical or unknown, or the time is over; the last report either way. */
export async function awaitHealth(
  app: Needs & { readonly log: Logger },
  request: HealthRequest,
  timeoutMs: number,
  signal: AbortSignal,
  check: () => Promise<HealthReport> = () => checkHealth(app, request, signal),
): Promise<HealthReport> {
  const begunMs = app.clock.monotonicMs();
  for (;;) {
    const report = await check();
    const waitedMs = app.clock.monotonicMs() - begunMs;
    if (report.status === 'ok' || report.status === 'warning' || waitedMs >= timeoutMs) return report;
    const first = report.probes.find(({ status }) => status === report.status);
    app.log.progress('health.waiting', `waiting: ${first ? `${first.name}: ${first.summary}` : 'nothing is known'}`, {
      done: Math.round(waitedMs / 1000),
      unit: 'seconds',
    });
    await app.clock.sleep(250, signal);
  }
}

/** The same, each time in its turn. */
export const awaitInTurn = (
  app: Parameters<typeof checkInTurn>[0] & { readonly log: Logger },
  request: HealthRequest,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<HealthReport> => awaitHealth(app, request, timeoutMs, signal, () => checkInTurn(app, request, signal));

/** The probes that speak of the data itself. */
const ofTheData = ['data-directory', 'checksums', 'log'] as const;

/** A running server says, or its files show, that data is damaged: then it is not simply well because it answers. */
export async function isDamaged(app: Needs, signal: AbortSignal): Promise<boolean> {
  const there = await probeNames(app.services);
  const only = ofTheData.filter((name) => there.has(name));
  if (only.length === 0) return false; // Asked for none, it would ask all.
  const { probes } = await checkHealth(app, { only }, signal);
  return probes.some((probe) => probe.status === 'critical' && (!isOf('log')(probe) || probe.data?.subjects?.includes('data')));
}

interface Chosen {
  readonly service: string;
  readonly probe: Probe;
}

async function choose({ services, config }: Needs, only: readonly string[]): Promise<Chosen[]> {
  const ofEach = services.map(async (service) => (await probesOf(service)).map((probe) => ({ service: service.name, probe })));
  const all = (await Promise.all(ofEach)).flat();
  const names = all.map(({ probe }) => probe.name);
  const strange = only.find((name) => !names.includes(name));
  if (strange !== undefined) {
    const close = nearest(strange, names);
    throw new DbkitError('usage.invalid', `there is no probe '${strange}'${close ? `; did you mean '${close}'?` : ''}`, {
      hint: names.length > 0 ? `the probes are ${names.join(', ')}` : 'no enabled service has probes',
    });
  }
  return all.filter(({ probe }) => (only.length > 0 ? only.includes(probe.name) : !config.health.disabled.includes(probe.name)));
}

/** A probe's answer, or what is to be said of one that gives none. */
async function answerOf(probe: Probe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  const late: ProbeResult = { status: 'unknown', summary: `no answer within ${Math.round(timeoutMs / 100) / 10} s` };
  let isOver = false;
  return within([signal], timeoutMs, (bounded) => {
    bounded.addEventListener('abort', () => {
      isOver = true;
    });
    return probe.check(bounded);
  }).catch((cause: unknown): ProbeResult => {
    if (isOver || signal.aborted) return late; // Its own words would only say that it was told to stop.
    return { status: 'unknown', summary: `could not be asked: ${wordsOf(cause).split('\n')[0]}` };
  });
}

const rounded = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;
