import * as v from 'valibot';
import { DbkitError, type Failure } from '../kernel/errors.ts';
import type { ControlRequest } from './contract.ts';

/** The data that a request is about; every request says so, and a supervisor answers only for its own. */
export interface ControlTarget {
  /** Resolved, without links. */
  readonly dataDir: string;
  /** Of pg_control; null where it cannot be read. */
  readonly systemIdentifier: string | null;
}

const service = v.optional(v.pipe(v.string(), v.maxLength(200)));
const label = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const trigger = v.optional(v.picklist(['start', 'person', 'monitor']));

const point = v.strictObject({
  to: v.picklist(['time', 'lsn', 'xid', 'name', 'latest', 'before']),
  value: v.pipe(v.string(), v.maxLength(1000)),
  exclusive: v.boolean(),
  timeline: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
});

/** The requests there are, as it arrives: nothing else is understood. */
const requests = {
  ping: v.strictObject({}),
  status: v.strictObject({}),
  stop: v.strictObject({ service }),
  start: v.strictObject({ service }),
  restart: v.strictObject({ service }),
  reload: v.strictObject({}),
  shutdown: v.strictObject({}),
  recover: v.strictObject({
    request: v.strictObject({
      dryRun: v.boolean(),
      strategy: v.optional(v.picklist(['repair', 'restore', 'reinitialize'])),
      trigger,
    }),
  }),
  restore: v.strictObject({
    dryRun: v.boolean(),
    request: v.strictObject({
      source: v.picklist(['backup', 'replaced']),
      label,
      bootTest: v.optional(v.boolean()),
      point: v.optional(point),
    }),
  }),
  upgrade: v.strictObject({
    backup: v.optional(label),
    request: v.strictObject({
      to: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
      oldBinDir: v.optional(v.pipe(v.string(), v.maxLength(4096))),
      method: v.optional(v.picklist(['pg_upgrade', 'dump'])),
      allowMissing: v.boolean(),
    }),
  }),
} as const satisfies Record<ControlRequest['command'], v.GenericSchema>;

const target = v.strictObject({ dataDir: v.pipe(v.string(), v.minLength(1)), systemIdentifier: v.nullable(v.string()) });

export type ControlCommand = ControlRequest['command'];
export const isCommand = (name: string): name is ControlCommand => Object.hasOwn(requests, name);

export interface AskedRequest {
  readonly request: ControlRequest;
  readonly target: ControlTarget;
}

/** One request as a supervisor understands it. Throws `usage.invalid` for anything else. */
export function parseRequest(command: ControlCommand, body: unknown): AskedRequest {
  const { target: whose, ...rest } = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const named = v.safeParse(target, whose);
  if (!named.success)
    throw new DbkitError('usage.invalid', 'the request does not say whose data it is about (target.dataDir, target.systemIdentifier)');
  const asked = v.safeParse(requests[command], rest);
  if (!asked.success) {
    const said = asked.issues.map(({ path, message }) => `${path?.map(({ key }) => String(key)).join('.') ?? command}: ${message}`);
    throw new DbkitError('usage.invalid', `the request ${command} is not understood: ${said.join('; ')}`);
  }
  return { request: { command, ...asked.output } as ControlRequest, target: named.output };
}

/** Refuses to act on data that is not this supervisor's: with `control.elsewhere`. */
export function refuseOther(asked: ControlTarget, own: ControlTarget): void {
  const isOther = asked.dataDir !== own.dataDir;
  const differs = asked.systemIdentifier !== null && own.systemIdentifier !== null && asked.systemIdentifier !== own.systemIdentifier;
  if (!isOther && !differs) return;
  const whose = isOther
    ? `is for the data directory ${own.dataDir}, not for ${asked.dataDir}`
    : `serves the cluster ${own.systemIdentifier}, and ${asked.dataDir} holds the cluster ${asked.systemIdentifier} here`;
  throw new DbkitError('control.elsewhere', `the supervisor with this state directory ${whose}`, {
    hint: `nothing was changed; add \`--data-dir ${own.dataDir}\` to mean that one, or give the other a --state-dir of its own`,
  });
}

/** The last line of an answer. */
export type ControlReply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly failure: Failure };
