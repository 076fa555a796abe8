import type { Carrier, Turn } from '../backups/carrier.ts';
import type { Config } from '../config/config.ts';
import { memberSettings } from '../config/ha-settings.ts';
import { wordsOf } from '../kernel/errors.ts';
import { fill } from '../kernel/reasons.ts';
import { type CarrierFacts, carrierFacts, decideCarrier } from './carrier-rows.ts';
import type { MemberFacts } from './facts.ts';
import { type ClusterNeeds, look, reach } from './look.ts';
import { readMemberFile } from './member/member-file.ts';
import { askServer, isTrouble } from './server.ts';
import { membersHere } from './watch.ts';

type Needs = Omit<ClusterNeeds, 'config'> & {
  readonly config: ClusterNeeds['config'] & Pick<Config, 'services' | 'disabledServices'>;
  /** Patroni's own variables stand above its file. */
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** Each member asks for itself and decides by the same table, so that nobody has to agree on anything: a backup goes on without etcd. */
export function createCarrier(needs: Needs): Carrier {
  return {
    async turn(signal) {
      try {
        return await turnOf(needs, signal);
      } catch (cause) {
        signal.throwIfAborted();
        needs.log.warn('backup.turn-unknown', `the cluster could not be asked who takes the backup: ${wordsOf(cause)}`);
        return turnFor({ from: needs.config.ha.backupFrom, own: UNNAMED, replica: null, leader: null });
      }
    },
  };
}

/** A member, as it stands in the configuration, whose name nobody could find out. */
const UNNAMED = '';

async function turnOf(needs: Needs, signal: AbortSignal): Promise<Turn> {
  const { ha } = needs.config;
  const reached = await reach(needs);
  const [cluster, own] = await Promise.all([look(needs, signal, reached), nameHere(needs)]);
  return turnFor(carrierFacts(cluster, own ?? (await ownAmong(needs, cluster.members, signal)), ha));
}

/** The reason in words, with the name of whoever takes it. Pure. */
export function turnFor(facts: CarrierFacts): Turn {
  const { id, then, words } = decideCarrier(facts);
  const member = facts[then] || null;
  return { member, isHere: then === 'own' || member === facts.own, reason: id, because: fill(words, { ...facts }) };
}

/** As the patroni.yml of this machine says it, where dbkit runs Patroni here. */
async function nameHere({ config, environment }: Needs): Promise<string | undefined> {
  const settings = memberSettings(config);
  if (settings === undefined) return undefined;
  const file = await readMemberFile(settings.config, environment).catch(() => undefined);
  return file !== undefined && file.name in config.ha.members ? file.name : undefined;
}

/**
 * The member whose server started when the one on this machine's socket did: no address has to be right for that. While it does not answer, the
 * one with an address of this machine.
 */
async function ownAmong({ config: { postgresql } }: Needs, members: readonly MemberFacts[], signal: AbortSignal): Promise<string | null> {
  const here = await askServer({ host: postgresql.socketDir, port: postgresql.port }, postgresql, signal);
  if (!isTrouble(here)) {
    const { startedAt, systemIdentifier } = here;
    const same = members.find(({ own }) => own?.startedAt === startedAt && own.systemIdentifier === systemIdentifier);
    if (same !== undefined) return same.name;
  }
  const local = membersHere(members);
  return local.length === 1 ? local[0]!.name : null;
}
