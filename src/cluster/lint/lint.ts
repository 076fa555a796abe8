import { fill } from '../../kernel/reasons.ts';
import type { Finds, Severity } from '../finding.ts';
import { dynamicFacts, dynamicRows, dynamicWords } from './dynamic-rows.ts';
import { memberRows, memberWords } from './member-rows.ts';
import type { DynamicSetup, MemberSetup } from './patroni-setup.ts';
import { poolerRows, poolerWords, routeRows, routeWords, unitRows, unitWords } from './routing-rows.ts';
import type { PoolerSetup, RouteSetup, UnitSetup } from './routing-setup.ts';
import { type StoreSetup, storeRows, storeWords } from './store-rows.ts';

/** A danger in a configuration. */
export interface LintFinding {
  readonly id: string;
  readonly severity: Severity;
  /** The file that it stands in; for settings that all members share, where they were read from. */
  readonly file: string;
  readonly words: string;
  readonly next: string;
}

/** Everything that was read. */
export interface Setups {
  readonly members: readonly MemberSetup[];
  /** Of a cluster that runs, or a file; null: those with which a cluster would begin, of the first member’s file. */
  readonly dynamic: DynamicSetup | null;
  readonly routes: readonly RouteSetup[];
  readonly poolers: readonly PoolerSetup[];
  readonly stores: readonly StoreSetup[];
  readonly units: readonly UnitSetup[];
  /** [3, 0, 2]; null: not known. */
  readonly version: readonly number[] | null;
  /** How many members the cluster has, where that is known better than by the files. */
  readonly memberCount: number;
}

/** Every danger, critical ones first. Pure. */
export function lintSetups(setups: Setups): readonly LintFinding[] {
  const { members, routes, poolers, stores, units, version } = setups;
  const dynamic = dynamicOf(setups);
  const found = [
    ...(dynamic === null ? [] : [dynamicFacts(dynamic, { version, members: Math.max(setups.memberCount, members.length) })]).flatMap(
      (facts) => findings(dynamicRows, facts, dynamicWords(facts), facts.setup.file),
    ),
    ...members
      .map((setup) => ({ setup, others: members.filter((one) => one !== setup), dynamic, version }))
      .flatMap((facts) => findings(memberRows, facts, memberWords(facts), facts.setup.file)),
    ...routes.flatMap((route) => findings(routeRows, route, routeWords(route), route.file)),
    ...poolers.flatMap((pooler) => findings(poolerRows, pooler, poolerWords(pooler), pooler.file)),
    ...stores
      .map((setup) => ({ setup, members, units }))
      .flatMap((facts) => findings(storeRows, facts, storeWords(facts), facts.setup.file)),
    ...units.flatMap((unit) => findings(unitRows, unit, unitWords(unit), unit.file)),
  ];
  return [...found.filter(({ severity }) => severity === 'critical'), ...found.filter(({ severity }) => severity === 'warning')];
}

/** Those of the running cluster win: `bootstrap.dcs` means something only while a cluster is made. */
export function dynamicOf({ dynamic, members }: Pick<Setups, 'dynamic' | 'members'>): DynamicSetup | null {
  if (dynamic !== null) return dynamic;
  const first = members.find(({ document }) => document.bootstrap?.dcs);
  return first ? { file: first.file, document: first.document.bootstrap!.dcs!, unreadable: [] } : null;
}

const findings = <Facts>(
  rows: readonly Finds<[Facts]>[],
  facts: Facts,
  told: Readonly<Record<string, unknown>>,
  file: string,
): readonly LintFinding[] =>
  rows
    .filter(({ when }) => when(facts))
    .map(({ id, then, words, next }) => ({ id, severity: then, file, words: fill(words, told), next: fill(next, told) }));
