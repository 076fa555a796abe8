import * as v from 'valibot';
import { amount, flag, readAsFarAsPossible, word, words } from './setting-kinds.ts';

const parameters = v.optional(v.record(v.string(), v.nullable(word)), {});
const setting = <S extends v.GenericSchema>(schema: S) => v.optional(v.nullable(schema));

/** The dynamic configuration ("Dynamic Configuration Settings" of Patroni's documentation); master_start_timeout is the older name. */
export const dynamicSchema = v.looseObject({
  ttl: setting(amount),
  loop_wait: setting(amount),
  retry_timeout: setting(amount),
  maximum_lag_on_failover: setting(amount),
  primary_start_timeout: setting(amount),
  master_start_timeout: setting(amount),
  check_timeline: setting(flag),
  synchronous_mode: setting(v.union([v.literal('quorum'), flag])),
  synchronous_mode_strict: setting(flag),
  failsafe_mode: setting(flag),
  pause: setting(flag),
  postgresql: setting(
    v.looseObject({ use_pg_rewind: setting(flag), use_slots: setting(flag), parameters, pg_hba: setting(v.array(word)) }),
  ),
});
export type DynamicDocument = v.InferOutput<typeof dynamicSchema>;

const store = setting(
  v.looseObject({
    hosts: setting(words),
    host: setting(word),
    url: setting(word),
    port: setting(word),
    protocol: setting(word),
    username: setting(word),
    password: setting(word),
    cacert: setting(word),
    cert: setting(word),
    key: setting(word),
  }),
);
const login = setting(v.looseObject({ username: setting(word), password: setting(word) }));

/** patroni.yml ("YAML Configuration Settings"). */
export const memberSchema = v.looseObject({
  scope: setting(word),
  name: setting(word),
  namespace: setting(word),
  etcd: store,
  etcd3: store,
  restapi: setting(
    v.looseObject({
      listen: setting(word),
      connect_address: setting(word),
      authentication: login,
      allowlist: setting(words),
      verify_client: setting(word),
    }),
  ),
  watchdog: setting(v.looseObject({ mode: setting(word) })),
  bootstrap: setting(
    v.looseObject({
      dcs: setting(dynamicSchema),
      initdb: setting(v.array(v.union([word, v.record(v.string(), v.nullable(word))]))),
      pg_hba: setting(v.array(word)),
    }),
  ),
  postgresql: setting(
    v.looseObject({
      listen: setting(word),
      connect_address: setting(word),
      data_dir: setting(word),
      pre_promote: setting(word),
      parameters,
      pg_hba: setting(v.array(word)),
      authentication: setting(v.looseObject({ superuser: login, replication: login, rewind: login })),
      remove_data_directory_on_rewind_failure: setting(flag),
      remove_data_directory_on_diverged_timelines: setting(flag),
    }),
  ),
});
export type MemberDocument = v.InferOutput<typeof memberSchema>;

/** One member's file, and whether others may read it. */
export interface MemberSetup {
  readonly file: string;
  readonly isReadableByAll: boolean;
  readonly document: MemberDocument;
  readonly unreadable: readonly string[];
}

/** The settings that all members share, with the place that they were read from. */
export interface DynamicSetup {
  readonly file: string;
  readonly document: DynamicDocument;
  readonly unreadable: readonly string[];
}

export const readMember = (file: string, isReadableByAll: boolean, document: unknown): MemberSetup | undefined => {
  const { value, unreadable } = readAsFarAsPossible(memberSchema, document);
  return value && { file, isReadableByAll, document: value, unreadable };
};

export const readDynamic = (file: string, document: unknown): DynamicSetup | undefined => {
  const { value, unreadable } = readAsFarAsPossible(dynamicSchema, document);
  return value && { file, document: value, unreadable };
};

/** The members of etcd that are named, by whichever of the two protocols. */
export function storeHosts({ etcd, etcd3 }: Pick<MemberDocument, 'etcd' | 'etcd3'>): readonly string[] {
  const named = etcd3 ?? etcd;
  return named?.hosts ?? [named?.host ?? named?.url].filter((host) => typeof host === 'string');
}

/** '10.0.0.1:8008' → '10.0.0.1', '[::1]:5432' → '::1', '*:5432' → '*'; the first one of a list. */
export const hostOf = (address: string): string =>
  address
    .split(',')[0]!
    .trim()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1');

export const isLoopback = (host: string): boolean => /^(127\.|localhost$|::1$)/.test(host);
