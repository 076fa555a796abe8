import type { HaSettings } from '../config/ha-settings.ts';
import { DbkitError } from '../kernel/errors.ts';

/** One member as the configuration knows it, with the store of agreement (etcd) or without. */
export interface Member {
  readonly name: string;
  /** Patroni's REST API, without a slash at its end. */
  readonly api: string;
  /** Where its PostgreSQL is taken to be while Patroni does not say it. */
  readonly server: Place;
}

/** A TCP address. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** 'db1:5432' → { host: 'db1', port: 5432 }, '[::1]:5432' → { host: '::1', port: 5432 }. */
export function placeOf(text: string): Place {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(at + 1)) };
}

/** The members of `ha.members`, in its order. Throws `config.invalid` where there are none. */
export function membersOf({ members }: Pick<HaSettings, 'members'>, defaultPort: number): readonly Member[] {
  const named = Object.entries(members);
  if (named.length === 0)
    throw new DbkitError('config.invalid', 'the configuration names no member of a cluster (ha.members)', {
      hint: 'add ha.members to dbkit.yaml, such as { n1: { api: "http://10.0.0.1:8008" } }; docs/guide/ha.md shows a whole one',
    });
  return named.map(([name, { api, server }]) => ({
    name,
    api: api.replace(/\/$/, ''),
    server: server === undefined ? { host: new URL(api).hostname.replace(/^\[(.*)\]$/, '$1'), port: defaultPort } : placeOf(server),
  }));
}

/** The member of this name. Throws `usage.invalid` where there is none. */
export function memberNamed<M extends { readonly name: string }>(members: readonly M[], name: string): M {
  const found = members.find((member) => member.name === name);
  if (found) return found;
  throw new DbkitError('usage.invalid', `there is no member '${name}'`, {
    hint: `the members are ${members.map((member) => member.name).join(', ')}`,
  });
}
