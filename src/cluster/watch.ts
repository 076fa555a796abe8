import { stat } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import type { Files, Logger } from '../kernel/machine.ts';
import type { ClusterNews, WatchedCluster } from '../monitor/watched-cluster.ts';
import { roles } from './answers.ts';
import { type ClusterNeeds, look, reach } from './look.ts';
import type { Member } from './members.ts';
import { endPause } from './pause.ts';
import { type ClusterSeen, changeAlert, changesOf, changeWords, orderAlert, seenNow } from './role-rows.ts';

type Needs = Omit<ClusterNeeds, 'config'> & {
  readonly config: ClusterNeeds['config'] & { readonly stateDir: string };
  readonly files: Pick<Files, 'readJson' | 'write'>;
  readonly log: Logger;
};

const seenFile = v.object({
  schema: v.literal('dbkit.cluster-seen/v1'),
  at: v.pipe(v.string(), v.isoTimestamp()),
  leader: v.nullable(v.string()),
  members: v.record(v.string(), v.object({ role: v.picklist(roles), answeredAt: v.nullable(v.pipe(v.string(), v.isoTimestamp())) })),
});

const pathOf = (stateDir: string): string => join(stateDir, 'cluster-seen.json');

/** The cluster as a monitor of this machine saw it last; undefined where none did. */
export const readSeen = (files: Pick<Files, 'readJson'>, stateDir: string): Promise<ClusterSeen | undefined> =>
  files.readJson(pathOf(stateDir), (value) => v.parse(seenFile, value));

/**
 * Tells every change of role. A monitor on the machine of a member speaks of that member only, so that a change is told once; one that is on none
 * of them speaks of all. It also ends a pause whose time is over.
 */
export function createClusterWatch(needs: Needs): WatchedCluster {
  const held: Held = { seen: undefined };
  return {
    async news(signal) {
      try {
        return await newsOf(needs, held, signal);
      } catch (cause) {
        if (isAbort(cause) && signal.aborted) throw cause;
        needs.log.warn('ha.not-watched', `the cluster could not be looked at: ${wordsOf(cause)}`);
        return { events: [], alerts: [] };
      }
    },
  };
}

/** The last look, where it could not be written: a full disk must not keep a change of role from being told. */
interface Held {
  seen: ClusterSeen | undefined;
}

async function newsOf(needs: Needs, held: Held, signal: AbortSignal): Promise<ClusterNews> {
  const { config, clock, files } = needs;
  const reached = await reach(needs);
  const facts = await look(needs, signal, reached);
  const hasEnded = await endPause(needs, reached, facts, signal);
  const before = held.seen ?? (await readSeen(files, config.stateDir));
  const now = seenNow(facts, before, clock.now().toISOString());
  held.seen = await writeSeen(needs, now);
  const changes = changesOf(before, now, ownMembers(reached.members));
  const order = changes.length > 0 ? null : orderAlert(facts);
  return {
    events: [...changes.map(changeWords), ...(hasEnded ? ['the pause of the cluster is over: automatic failover is on again'] : [])],
    alerts: [...changes.map((change) => changeAlert(change, now)), ...(order === null ? [] : [order])],
  };
}

/** Resolves to the part that is kept in memory instead; undefined: it is written. */
async function writeSeen({ config: { stateDir }, files, log }: Needs, now: ClusterSeen): Promise<ClusterSeen | undefined> {
  try {
    const owner = await stat(stateDir);
    await files.write(pathOf(stateDir), `${JSON.stringify({ schema: 'dbkit.cluster-seen/v1', ...now })}\n`, { owner });
    return undefined;
  } catch (cause) {
    log.warn('ha.not-remembered', `what was seen of the cluster could not be written: ${wordsOf(cause)}`);
    return now;
  }
}

/** The members whose Patroni is at an address of this machine; all of them where none is. */
export function ownMembers(members: readonly Pick<Member, 'name' | 'api'>[], here?: ReadonlySet<string>): readonly string[] {
  const own = membersHere(members, here);
  return (own.length === 0 ? members : own).map(({ name }) => name);
}

/** The members whose Patroni is at an address of this machine. */
export const membersHere = <M extends Pick<Member, 'api'>>(members: readonly M[], here = addressesHere()): readonly M[] =>
  members.filter(({ api }) => here.has(new URL(api).hostname.replace(/^\[(.*)\]$/, '$1')));

const addressesHere = (): ReadonlySet<string> =>
  new Set([hostname(), 'localhost', ...Object.values(networkInterfaces()).flatMap((some) => (some ?? []).map(({ address }) => address))]);
