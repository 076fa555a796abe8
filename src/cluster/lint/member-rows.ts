import type { Finds } from '../finding.ts';
import { isSince } from './dynamic-rows.ts';
import { type DynamicSetup, hostOf, isLoopback, type MemberSetup, storeHosts } from './patroni-setup.ts';
import { isOff } from './setting-kinds.ts';

/** One member's patroni.yml, beside the others and what they share. */
export interface MemberLintFacts {
  readonly setup: MemberSetup;
  readonly others: readonly MemberSetup[];
  /** null: nobody knows the settings that all members share. */
  readonly dynamic: DynamicSetup | null;
  readonly version: readonly number[] | null;
}

const parametersOf = ({ setup, dynamic }: MemberLintFacts): Readonly<Record<string, string | null>> => ({
  ...dynamic?.document.postgresql?.parameters,
  ...setup.document.postgresql?.parameters,
});
const hasChecksums = ({ setup }: MemberLintFacts): boolean =>
  (setup.document.bootstrap?.initdb ?? []).some((one) => (typeof one === 'string' ? one : Object.keys(one).join()) === 'data-checksums');
const rules = ({ setup, dynamic }: MemberLintFacts): readonly string[] | null =>
  setup.document.postgresql?.pg_hba ?? dynamic?.document.postgresql?.pg_hba ?? setup.document.bootstrap?.pg_hba ?? null;
const listens = (address: string | null | undefined): boolean => !!address && !isLoopback(hostOf(address));
const passwords = ({ setup }: MemberLintFacts): readonly unknown[] => [
  setup.document.restapi?.authentication?.password,
  ...Object.values(setup.document.postgresql?.authentication ?? {}).map(
    (one) => (one as { password?: unknown } | null | undefined)?.password,
  ),
];
const isNetworkTrust = (rule: string): boolean => {
  const [type = '', , , address = '', ...rest] = rule.trim().split(/\s+/);
  return type.startsWith('host') && rest.includes('trust') && !isLoopback(address);
};

/** Every row that matches is a danger in one member's file. */
export const memberRows = [
  {
    id: 'etcd3-loses-acknowledged-rows',
    when: ({ setup, version }) => !!setup.document.etcd3 && version !== null && !isSince(version, [3, 0, 3]),
    then: 'critical',
    words: 'etcd3 with Patroni {version}: one that hung and goes on takes the lock back, and acknowledged rows are lost',
    next: 'use Patroni 3.0.3 or newer, or `etcd:` with etcd’s --enable-v2=true',
  },
  {
    id: 'etcd3-with-unknown-patroni',
    when: ({ setup, version }) => !!setup.document.etcd3 && version === null,
    then: 'warning',
    words: 'it uses etcd3, and nobody knows which Patroni reads it; before 3.0.3 acknowledged rows are lost',
    next: 'say the version: `dbkit ha lint --patroni 4.0.7 FILE`',
  },
  {
    id: 'member-setting-unreadable',
    when: ({ setup }) => setup.unreadable.length > 0,
    then: 'critical',
    words: 'the value of {unreadable} cannot be used',
    next: 'correct it: `patroni --validate-config FILE` shows how it is read',
  },
  {
    id: 'member-without-name',
    when: ({ setup }) => !setup.document.name || !setup.document.scope,
    then: 'critical',
    words: 'it names no scope or no name, so no other member can be told from it',
    next: 'set scope, the same for all members, and a name of its own',
  },
  {
    id: 'member-name-taken',
    when: ({ setup, others }) => others.some(({ document }) => !!document.name && document.name === setup.document.name),
    then: 'critical',
    words: 'another member has the name {name} too: each would take the other for itself',
    next: 'give each member a name of its own',
  },
  {
    id: 'member-of-another-cluster',
    when: ({ setup, others }) => others.some(({ document }) => !!document.scope && document.scope !== setup.document.scope),
    then: 'critical',
    words: 'its scope is {scope}, and another file has another one: they would be two clusters',
    next: 'set the same scope in every file',
  },
  {
    id: 'data-removed-by-patroni',
    when: ({ setup: { document } }) =>
      document.postgresql?.remove_data_directory_on_rewind_failure === true ||
      document.postgresql?.remove_data_directory_on_diverged_timelines === true,
    then: 'critical',
    words: 'the data directory may be removed by Patroni itself, with rows that no other member has (remove_data_directory_on_…)',
    next: 'set both to false, and rebuild with `dbkit ha reinit` when you have looked',
  },
  {
    id: 'data-on-volatile-volume',
    when: ({ setup }) => /^\/(tmp|var\/tmp|dev\/shm|run|var\/run)(\/|$)/.test(setup.document.postgresql?.data_dir ?? ''),
    then: 'critical',
    words: 'the data directory {dataDir} is emptied at a restart of the machine',
    next: 'put it on a disk of its own',
  },
  {
    id: 'data-directory-unset',
    when: ({ setup }) => !setup.document.postgresql?.data_dir,
    then: 'critical',
    words: 'it names no postgresql.data_dir',
    next: 'set it: Patroni does not start without',
  },
  {
    id: 'api-open-to-all',
    when: ({ setup: { document } }) =>
      listens(document.restapi?.listen) &&
      !document.restapi?.authentication?.password &&
      !document.restapi?.allowlist?.length &&
      document.restapi?.verify_client !== 'required' &&
      document.restapi?.verify_client !== 'optional',
    then: 'critical',
    words: 'whoever reaches its REST API at {api} may move the lead and have data rebuilt',
    next: 'set restapi.authentication, or restapi.allowlist with the machines that may',
  },
  {
    id: 'address-of-loopback',
    when: ({ setup: { document }, others }) =>
      [document.restapi?.connect_address, document.postgresql?.connect_address].some((address) => address && isLoopback(hostOf(address))) &&
      !others.every((other) => isLoopback(hostOf(other.document.postgresql?.connect_address ?? ''))),
    then: 'critical',
    words: 'its connect_address is the loopback: no other machine reaches it there',
    next: 'set the address by which the other members reach it',
  },
  {
    id: 'server-trusts-the-network',
    when: (facts) => (rules(facts) ?? []).some(isNetworkTrust),
    then: 'critical',
    words: 'pg_hba lets other machines in without a password (trust)',
    next: 'write scram-sha-256 in place of trust',
  },
  {
    id: 'replication-not-admitted',
    when: (facts) => rules(facts)?.every((rule) => !/^\s*host\S*\s+(\S+,)*(replication)\b/.test(rule)) ?? false,
    then: 'critical',
    words: 'pg_hba has no host line for replication: no replica can stream from it',
    next: 'add `host replication REPLICATOR ADDRESS scram-sha-256` for the members',
  },
  {
    id: 'rewind-impossible',
    when: (facts) =>
      facts.dynamic?.document.postgresql?.use_pg_rewind === true && isOff(parametersOf(facts)['wal_log_hints']) && !hasChecksums(facts),
    then: 'critical',
    words: 'pg_rewind is asked for, and cannot work: wal_log_hints is off and initdb makes no data checksums',
    next: 'set wal_log_hints on',
  },
  {
    id: 'promotion-may-be-vetoed',
    when: ({ setup }) => !!setup.document.postgresql?.pre_promote,
    then: 'warning',
    words: 'a program may veto a promotion (pre_promote), and then nobody leads for a whole ttl',
    next: 'leave pre_promote empty',
  },
  {
    id: 'watchdog-off',
    when: ({ setup }) => setup.document.watchdog?.mode === 'off',
    then: 'warning',
    words: 'the watchdog is off: a hung Patroni leaves its server writable beside the next leader',
    next: 'set watchdog.mode automatic, or required where the machine has the device',
  },
  {
    id: 'store-of-one',
    when: ({ setup }) => storeHosts(setup.document).length === 1,
    then: 'warning',
    words: 'it names one etcd: when that is gone nobody can take over',
    next: 'name three, on three machines',
  },
  {
    id: 'store-of-two',
    when: ({ setup }) => storeHosts(setup.document).length === 2,
    then: 'warning',
    words: 'it names two etcd: the loss of either stops both',
    next: 'name three, on three machines',
  },
  {
    id: 'password-readable-by-all',
    when: (facts) => facts.setup.isReadableByAll && passwords(facts).some(Boolean),
    then: 'critical',
    words: 'it holds passwords, and every user of the machine may read it',
    next: 'type `chmod 600` for it, and give it to the user whom Patroni runs as',
  },
] as const satisfies readonly Finds<[MemberLintFacts]>[];

export const memberWords = ({ setup: { document, unreadable }, version }: MemberLintFacts): Readonly<Record<string, unknown>> => ({
  name: document.name,
  scope: document.scope,
  version: version?.join('.'),
  api: document.restapi?.listen,
  dataDir: document.postgresql?.data_dir,
  unreadable: unreadable.join(', '),
});
