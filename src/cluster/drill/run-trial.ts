import { join } from 'node:path';
import { type ClusterFacts, effectiveTtlSeconds } from '../facts.ts';
import { cutOff } from '../local/networks.ts';
import { type Starting, startMember } from '../local/start.ts';
import type { LocalNeeds } from '../local/up.ts';
import { reach } from '../look.ts';
import { memberNamed } from '../members.ts';
import { askToMove } from '../patroni.ts';
import { switchover } from '../switchover.ts';
import type { Drill, DrillName } from './drills.ts';
import type { Trial } from './evidence.ts';
import { faults, type Victim } from './faults.ts';
import { measure, untilWell } from './measure.ts';
import { makeTable } from './table.ts';
import type { Endpoint } from './writers.ts';

/** One disaster on a cluster of its own. Rejects where commits do not come back at all. */
export async function runTrial(
  needs: LocalNeeds,
  drill: Drill & { readonly id: DrillName },
  starting: Starting,
  signal: AbortSignal,
): Promise<Trial> {
  await untilWell(needs, signal);
  const rehearsal = {
    drill,
    endpoints: endpointsOf(starting, drill),
    ledger: join(starting.folder, 'ledger'),
    patroniVersion: starting.programs.patroniVersion,
    guarded: starting.state.unguarded !== true,
    here: false,
    harm: (before: ClusterFacts, bounded: AbortSignal) => faults[drill.id](victimOf(needs, before, starting, bounded), bounded),
  };
  await makeTable(rehearsal.endpoints[0]!, needs.config.postgresql, signal);
  return measure(needs, rehearsal, signal);
}

/** A switchover is for clients of PgBouncer, which holds them back meanwhile. */
function endpointsOf({ plan }: Starting, { id }: Pick<Drill, 'id'>): readonly Endpoint[] {
  const pooler = { name: 'pooler', place: plan.pooler } as const;
  return id === 'switchover-under-load' ? [pooler] : [{ name: 'write', place: plan.writes }, pooler];
}

function victimOf(needs: LocalNeeds, facts: ClusterFacts, starting: Starting, signal: AbortSignal): Victim {
  return {
    folder: starting.folder,
    files: needs.files,
    clock: needs.clock,
    ttlSeconds: effectiveTtlSeconds(facts),
    leader: facts.leader!,
    synchronous: facts.members.find(({ role }) => role === 'synchronous')?.name,
    members: facts.members.map(({ name }) => name),
    unguarded: starting.state.unguarded ?? false,
    startMember: (name) => startMember(needs, starting, name),
    cutOff: (name, isCut) => cutOff(needs, starting.state, { name, isCut }, signal),
    switchover: (bounded) =>
      starting.state.unguarded ? switchAlone(needs, facts.leader!, bounded) : switchover(needs, { to: undefined, pause: true }, bounded),
  };
}

/** As whoever has Patroni alone does it. */
async function switchAlone(needs: LocalNeeds, leader: string, signal: AbortSignal): Promise<void> {
  const { ask, members } = await reach(needs);
  await askToMove(ask, memberNamed(members, leader), '/switchover', { leader }, signal);
}
