import { strategies } from '../backups/base/pages/strategy.ts';
import { reachRows } from '../backups/base/points/reach.ts';
import { serveRows } from '../backups/base/points/serve-rows.ts';
import { refusedVerbs } from '../backups/engine-refusals.ts';
import { scoreRows } from '../backups/offsite/score.ts';
import { quarantineRules } from '../backups/quarantine-retention.ts';
import { retentionRules } from '../backups/retention.ts';
import { snapshotRows } from '../backups/snapshots/snapshot-rows.ts';
import { turnRows } from '../backups/snapshots/turn-rows.ts';
import { doorRows } from '../boot/door.ts';
import { carrierRows } from '../cluster/carrier-rows.ts';
import { fitRows } from '../cluster/copying/fit-rows.ts';
import { hereRefusals } from '../cluster/drill/here-rows.ts';
import { missRows } from '../cluster/drill/misses.ts';
import { drillTurnRows } from '../cluster/drill-turn.ts';
import { clusterFindings } from '../cluster/findings.ts';
import { dynamicRows } from '../cluster/lint/dynamic-rows.ts';
import { memberRows } from '../cluster/lint/member-rows.ts';
import { poolerRows, routeRows, unitRows } from '../cluster/lint/routing-rows.ts';
import { storeRows } from '../cluster/lint/store-rows.ts';
import { admissionRows } from '../cluster/member/admission.ts';
import { guardRows } from '../cluster/member/guard-rows.ts';
import { unfinishedRows } from '../cluster/member/unfinished-rows.ts';
import { memberFindings } from '../cluster/member-findings.ts';
import { poolerFindings } from '../cluster/pooler-findings.ts';
import { failoverRefusals, reinitRefusals, switchoverRefusals } from '../cluster/refusals.ts';
import { roleRows } from '../cluster/role-rows.ts';
import { clusterObstacles, memberObstacles } from '../cluster/why-not.ts';
import { writeFindings } from '../cluster/write-findings.ts';
import { trustRows } from '../config/trust.ts';
import { logRows } from '../health/log-messages.ts';
import { layoutRows } from '../homes/adopt/layouts.ts';
import { entrypointRows } from '../homes/compose/ways.ts';
import { checkoutRows } from '../homes/git/auto-rows.ts';
import { impactRows } from '../incident/impact.ts';
import { preventRows } from '../incident/prevent.ts';
import { everyStep } from '../incident/runbooks/runbooks.ts';
import { contradictions } from '../inspection/contradictions.ts';
import { findingCodes } from '../inspection/findings.ts';
import { amcheckRows } from '../instance/amcheck-verdict.ts';
import { directoryRules, volumeRules } from '../instance/guard/refusals.ts';
import { firstPasswordRows } from '../instance/server/first-password.ts';
import { troubleRows } from '../instance/session-trouble.ts';
import { type FailureCode, failures } from '../kernel/errors.ts';
import type { exitStatuses } from '../kernel/exit-statuses.ts';
import type { Refusal } from '../kernel/reasons.ts';
import { decisions } from '../monitor/decide.ts';
import { verdicts } from '../monitor/verdict.ts';
import { restPointRows } from '../pgbackrest/point-rows.ts';
import { neededRow } from '../pgbackrest/retention.ts';
import { incidents } from '../recovery/incidents.ts';
import { ladder } from '../recovery/ladder.ts';
import { unknownReasons } from '../recovery/losses.ts';
import { mountedEntries } from '../recovery/mounted-entries.ts';
import { remedies } from '../recovery/remedies.ts';
import { resumptions } from '../recovery/resumption.ts';
import { shortfalls } from '../recovery/shortfall.ts';
import { messages } from '../recovery/triage.ts';
import { restorePointRows } from '../restore/restore-point-rows.ts';
import { troubleOfArchive } from '../supervisor/archive-trouble.ts';
import { tonight } from '../supervisor/doctor/tonight.ts';
import { restartRules } from '../supervisor/restart-policy.ts';
import { dueRows } from '../supervisor/schedule/due.ts';
import { methodRows } from '../upgrade/methods.ts';
import { obstacleRows } from '../upgrade/obstacles.ts';
import { logRules } from '../upkeep/log-retention.ts';
import { indexNeeds, tableNeeds } from '../upkeep/needs.ts';
import { segmentRows } from '../wal/retention.ts';
import { walProblems } from '../wal/verify.ts';
import { nextSteps } from './next-steps.ts';

/** One row of a decision table, for people. */
export interface Reason {
  readonly id: string;
  /** The table that it is in. */
  readonly table: string;
  readonly words: string;
  /** The next step of dbkit; null where the row only names something. */
  readonly then: string | null;
  /** The next step of a person; null where there is nothing to do. */
  readonly next: string | null;
  readonly failure: FailureCode | null;
  readonly exit: keyof typeof exitStatuses | null;
}

interface Row {
  readonly id: string;
  readonly words: string;
  /** Left out of the page where it is no word. */
  readonly then?: unknown;
  readonly mend?: string;
  /** The next step of a person, where the row refuses nothing. */
  readonly next?: string;
  readonly refusal?: Refusal;
}

/** A list of names with their words has ids too, and decides nothing. */
const named = (names: Readonly<Record<string, string>>): Row[] => Object.entries(names).map(([id, words]) => ({ id, words }));
const codes = Object.keys(failures) as FailureCode[];

/** Every table whose ids are shown to somebody, in the order of docs/REASONS.md. */
export const tables = {
  'Before anything is written': [...directoryRules, ...volumeRules],
  'Is a configuration file obeyed?': trustRows,
  Findings: named(findingCodes),
  'What stands against pg_control': contradictions,
  Remedies: remedies,
  'The ladder of recovery': ladder,
  'Other steps of a recovery': named(incidents),
  'Did recovery come to the end of the WAL?': shortfalls,
  'Loss not known': named(unknownReasons),
  'Mounts below the data directory': mountedEntries,
  'What the server says': messages,
  'What an error of a session means': troubleRows,
  'What the end of pg_amcheck means': amcheckRows,
  'When clients are let in': doorRows,
  'The password that the application’s role is made with': firstPasswordRows,
  'A replacement that was interrupted': resumptions,
  'Can a moment be reached?': reachRows,
  'Does a base backup serve a moment?': serveRows,
  'Can a moment be asked of pgBackRest?': restPointRows,
  'What dbkit does not do with pgBackRest': refusedVerbs,
  'Can a restore point be made?': restorePointRows,
  'Can a database be copied?': snapshotRows,
  'How a base backup copies a file that changed': strategies,
  'Does the database follow a checkout?': checkoutRows,
  'What becomes of the data when a branch is checked out': turnRows,
  'Retention of backups': [...retentionRules, neededRow],
  'Retention of data that was set aside': quarantineRules,
  'Retention of the WAL archive': segmentRows,
  'What is wrong with a WAL archive': named(walProblems),
  'What `dbkit copies` advises': scoreRows,
  'Restart of services': restartRules,
  'What the schedule does': dueRows,
  'What is told of the WAL archive': troubleOfArchive,
  'What a health check means for the monitor': verdicts,
  'What the monitor does': decisions,
  'Messages in the server’s log': logRows,
  'What would fail tonight': tonight,
  'What `dbkit` alone suggests': nextSteps,
  'What is wrong with a cluster': clusterFindings,
  'What is wrong with a member of a cluster': memberFindings,
  'What a commit through the write address proves': writeFindings,
  'What PgBouncer says': poolerFindings,
  'How a change of role is told': roleRows,
  'Which member takes a base backup': carrierRows,
  'Which member rehearses a restore': drillTurnRows,
  'Why nobody would be promoted': clusterObstacles,
  'Why a member would not be promoted': memberObstacles,
  'Why the lead is not handed over': switchoverRefusals,
  'Why a failover is refused': failoverRefusals,
  'Why a member is not rebuilt': reinitRefusals,
  'When Patroni is started on a member’s data': admissionRows,
  'What becomes of a cluster that was half made': unfinishedRows,
  'May a replica be made of a base backup': fitRows,
  'What the guard of a member does': guardRows,
  'Why a drill does not come over the real cluster': hereRefusals,
  'Targets of a drill that were missed': missRows,
  'What is dangerous in the settings that all members share': dynamicRows,
  'What is dangerous in a member’s patroni.yml': memberRows,
  'What is dangerous in front of and beside Patroni': [...routeRows, ...poolerRows, ...storeRows, ...unitRows],
  'What an incident means for those who wait': impactRows,
  'What an incident shows about the set-up': preventRows,
  'Steps of runbooks': everyStep.map(({ id, words, command }) => ({ id, words, ...(command === null ? {} : { next: `\`${command}\`` }) })),
  'Whose data directory it is': layoutRows,
  'How dbkit comes into a compose file': entrypointRows,
  'How a major upgrade is done': methodRows,
  'What stands in the way of a major upgrade': obstacleRows,
  'Upkeep of tables and indexes': [...tableNeeds, ...indexNeeds],
  'Retention of logs': logRules,
} as const satisfies Readonly<Record<string, readonly Row[]>>;

const failureReasons = (): Reason[] =>
  codes.map((code) => ({
    id: code,
    table: 'Failures',
    words: failures[code].words,
    then: null,
    next: failures[code].next,
    failure: code,
    exit: failures[code].exit,
  }));

/** All reasons, by table. An id may name a finding and a failure. */
export const reasons = (): Reason[] => [
  ...Object.entries<readonly Row[]>(tables).flatMap(([table, rows]) => rows.map((row) => reasonOf(table, row))),
  ...failureReasons(),
];

const reasonOf = (table: string, { id, words, then, mend, next, refusal }: Row): Reason => ({
  id,
  table,
  words,
  then: mend ?? (typeof then === 'string' ? then : null),
  next: refusal?.hint ?? next ?? (Array.isArray(then) ? then.map((line) => `\`${line}\``).join(', ') : null),
  failure: refusal?.code ?? null,
  exit: refusal ? failures[refusal.code].exit : null,
});
