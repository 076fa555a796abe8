import * as v from 'valibot';
import type { Finds } from '../finding.ts';
import { isLoopback, type MemberSetup } from './patroni-setup.ts';
import type { UnitSetup } from './routing-setup.ts';
import { flag, readAsFarAsPossible, word } from './setting-kinds.ts';

const text = v.optional(v.nullable(word));
const storeSchema = v.looseObject({
  name: text,
  'data-dir': text,
  'listen-client-urls': text,
  'enable-v2': v.optional(v.nullable(flag)),
  'client-transport-security': v.optional(v.nullable(v.looseObject({ 'client-cert-auth': v.optional(v.nullable(flag)) }))),
});

/** The configuration file of an etcd. */
export interface StoreSetup {
  readonly file: string;
  readonly document: v.InferOutput<typeof storeSchema>;
}

export const readStore = (file: string, document: unknown): StoreSetup | undefined => {
  const { value } = readAsFarAsPossible(storeSchema, document);
  return value && { file, document: value };
};

/** One etcd, beside the members whose files are known. */
export interface StoreFacts {
  readonly setup: StoreSetup;
  readonly members: readonly MemberSetup[];
  readonly units: readonly UnitSetup[];
}

const clientUrls = ({ document }: StoreSetup): readonly string[] =>
  (document['listen-client-urls'] ?? '').split(',').map((url) => url.trim());
const isOpen = (url: string): boolean => url !== '' && !isLoopback(url.replace(/^https?:\/\//, '').replace(/:\d+$/, ''));

const closesStore = ({ execStart, closesNetwork }: UnitSetup): boolean => closesNetwork && /(^|\/)etcd(\s|$)/.test(execStart);

/** Every row that matches is a danger in etcd’s own file. */
export const storeRows = [
  {
    id: 'store-speaks-no-v2',
    when: ({ setup, members }) =>
      setup.document['enable-v2'] !== true && members.some(({ document }) => !!document.etcd && !document.etcd3),
    then: 'critical',
    words: 'this etcd does not speak version 2 of the protocol, which `etcd:` of Patroni needs',
    next: 'set enable-v2 true (etcd 3.4 and 3.5), or use `etcd3:` with Patroni 3.0.3 or newer',
  },
  {
    id: 'store-on-volatile-volume',
    when: ({ setup }) => /^\/(tmp|var\/tmp|dev\/shm|run|var\/run)(\/|$)/.test(setup.document['data-dir'] ?? ''),
    then: 'critical',
    words: 'the data of etcd, {dataDir}, is emptied at a restart of the machine',
    next: 'put it on a disk of its own',
  },
  {
    id: 'store-open-to-all',
    when: ({ setup, units }) =>
      clientUrls(setup).some(isOpen) &&
      setup.document['client-transport-security']?.['client-cert-auth'] !== true &&
      !units.some(closesStore),
    then: 'warning',
    words: 'whoever reaches etcd at {urls} may say who leads: it asks for no certificate',
    next: 'close that port to all but the members, or set client-cert-auth',
  },
] as const satisfies readonly Finds<[StoreFacts]>[];

export const storeWords = ({ setup }: StoreFacts): Readonly<Record<string, unknown>> => ({
  dataDir: setup.document['data-dir'],
  urls: clientUrls(setup).filter(isOpen).join(', '),
});
