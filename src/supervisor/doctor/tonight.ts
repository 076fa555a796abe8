import type { Finds } from '../../cluster/finding.ts';

/** Facts beside those that health asks for. Null: nobody can tell. */
export interface TonightFacts {
  readonly holdsData: boolean;
  readonly isSupervised: boolean;
  /** A service needs a person, and the container is kept alive for that. */
  readonly isHeld: boolean;
  /** Seconds since the monitor has looked last; null: it never has. */
  readonly watchedAgoSeconds: number | null;
  readonly isMonitorPaused: boolean;
  readonly hasGivenUp: boolean;
  /** Named in the configuration. */
  readonly channels: number;
  /** 'team-url, ops-token': secrets of channels that cannot be read here; empty: none. */
  readonly unreadSecrets: string;
  readonly copies: number;
  readonly hasGoodBackup: boolean;
  /** Days since a restore has proven a backup; null: none ever was. */
  readonly provenAgoDays: number | null;
  readonly isOnOneDisk: boolean | null;
  readonly keepsWal: boolean;
  readonly hasChecksums: boolean | null;
  readonly major: number | null;
  /** Days until the PostgreSQL project ends its support; negative: since. */
  readonly supportedDays: number | null;
  /** Seconds by which pg_control was written after the present time. */
  readonly writtenAheadSeconds: number;
  readonly recoveriesThisWeek: number;
  readonly openFilesMax: number | null;
  /** False: this Node cannot put root's rights down. */
  readonly mayChangeIds: boolean;
  readonly node: string;
}

const STALE_WATCH_SECONDS = 600;
const PROOF_DAYS = 31;
const SOON_DAYS = 90;
const AHEAD_SECONDS = 60;
const OFTEN = 3;
/** A server with a hundred connections and as many relations; systemd's and Docker's own defaults are larger. */
const FILES_FEW = 1024;

const isWatched = ({ watchedAgoSeconds }: TonightFacts): boolean => watchedAgoSeconds !== null && watchedAgoSeconds < STALE_WATCH_SECONDS;

/** Every row that matches is told, the worst first. */
export const tonight = [
  {
    id: 'tonight-held',
    when: ({ isHeld }) => isHeld,
    then: 'critical',
    words: 'a service is held until a person decides, so no server runs',
    next: 'see why: `dbkit status`, then `dbkit recover --dry-run`',
  },
  {
    id: 'tonight-given-up',
    when: ({ hasGivenUp }) => hasGivenUp,
    then: 'critical',
    words: 'the monitor has given up, and recovers nothing until a person has looked',
    next: 'look at `dbkit recover history`, then `dbkit monitor resume`',
  },
  {
    id: 'tonight-clock-went-back',
    when: ({ writtenAheadSeconds }) => writtenAheadSeconds > AHEAD_SECONDS,
    then: 'critical',
    words: 'pg_control was written {writtenAheadSeconds} s after the present time: the clock went back',
    next: 'set the clock and keep it right: `timedatectl set-ntp true`',
  },
  {
    id: 'tonight-nobody-restarts',
    when: (facts) => facts.holdsData && !facts.isSupervised && !isWatched(facts),
    then: 'critical',
    words: 'nothing starts the server again when it ends: no supervisor runs and no monitor looks',
    next: 'in a container make dbkit the ENTRYPOINT; on a server run `dbkit systemd install`',
  },
  {
    id: 'tonight-monitor-paused',
    when: ({ isMonitorPaused }) => isMonitorPaused,
    then: 'warning',
    words: 'the monitor is paused, and recovers nothing meanwhile',
    next: 'end the pause: `dbkit monitor resume`',
  },
  {
    id: 'tonight-nobody-is-told',
    when: ({ channels }) => channels === 0,
    then: 'warning',
    words: 'no alert channel is configured, so nobody is told',
    next: 'add one: `dbkit alert setup`',
  },
  {
    id: 'tonight-secret-not-read',
    when: ({ unreadSecrets }) => unreadSecrets !== '',
    then: 'warning',
    words: 'secrets of alert channels cannot be read from here: {unreadSecrets}; unless the monitor has them, those channels tell nobody',
    next: '`dbkit alert test` says what each channel lacks',
  },
  {
    id: 'tonight-all-on-one-disk',
    when: ({ hasGoodBackup, isOnOneDisk, copies }) => hasGoodBackup && isOnOneDisk === true && copies === 0,
    then: 'warning',
    words: 'data and backups are on the same disk, and no copy is elsewhere: one disk takes both',
    next: 'name another place under `copies` in dbkit.yaml, then `dbkit backup copy latest --to NAME`',
  },
  {
    id: 'tonight-never-restored',
    when: ({ hasGoodBackup, provenAgoDays }) => hasGoodBackup && (provenAgoDays === null || provenAgoDays > PROOF_DAYS),
    then: 'warning',
    words: 'no backup has been restored as a test for a month',
    next: 'prove the newest one: `dbkit backup drill`',
  },
  {
    id: 'tonight-wal-not-kept',
    when: ({ holdsData, keepsWal }) => holdsData && !keepsWal,
    then: 'warning',
    words: 'the WAL is not kept: what was written since the last backup is lost with the machine',
    next: 'set `wal.mode: tail` in dbkit.yaml, then `dbkit restart`',
  },
  {
    id: 'tonight-no-checksums',
    when: ({ hasChecksums }) => hasChecksums === false,
    then: 'warning',
    words: 'data checksums are off, so a damaged page is noticed late or never',
    next: 'stop the server with `dbkit down`, run `pg_checksums --enable -D DIR`, then `dbkit up`',
  },
  {
    id: 'tonight-version-without-support',
    when: ({ supportedDays }) => supportedDays !== null && supportedDays < 0,
    then: 'warning',
    words: 'PostgreSQL {major} gets no more fixes from its project',
    next: 'plan the upgrade; `dbkit backup create --engine dump` makes what a newer version can load',
  },
  {
    id: 'tonight-version-ends-soon',
    when: ({ supportedDays }) => supportedDays !== null && supportedDays >= 0 && supportedDays <= SOON_DAYS,
    then: 'warning',
    words: 'PostgreSQL {major} gets its last fixes in {supportedDays} days',
    next: 'plan the upgrade; `dbkit backup create --engine dump` makes what a newer version can load',
  },
  {
    id: 'tonight-recovered-often',
    when: ({ recoveriesThisWeek }) => recoveriesThisWeek >= OFTEN,
    then: 'warning',
    words:
      'the data was recovered {recoveriesThisWeek} times this week without being asked: something ends the server in the middle of its work',
    next: 'see what: `dbkit recover history`; a container needs a stop timeout of 60 s, and memory to spare',
  },
  {
    id: 'tonight-few-descriptors',
    when: ({ openFilesMax }) => openFilesMax !== null && openFilesMax < FILES_FEW,
    then: 'warning',
    words: 'a process here may open only {openFilesMax} files',
    next: 'raise the limit: `ulimit -n 65536`, LimitNOFILE= in a unit, `ulimits` in a compose file',
  },
  {
    id: 'tonight-node-keeps-root',
    when: ({ mayChangeIds }) => !mayChangeIds,
    then: 'warning',
    words:
      'the Node here, {node}, cannot put root’s rights down, so dbkit refuses to work as root: its timers and hooks that root runs end with 77',
    next: 'install Node 22: `npm install --global node@22`, or from nodejs.org; and leave UV_USE_IO_URING unset',
  },
] as const satisfies readonly Finds<[TonightFacts]>[];

/** The last day with fixes of each major (postgresql.org/support/versioning). */
const lastDay: Readonly<Record<number, string>> = {
  13: '2025-11-13',
  14: '2026-11-12',
  15: '2027-11-11',
  16: '2028-11-09',
  17: '2029-11-08',
  18: '2030-11-14',
};
const DAY_MS = 86_400_000;

/** Days until there are no more fixes for a major version; null for one that is not known. Pure. */
export function supportedDays(major: number | null, now: Date): number | null {
  const day = major === null ? undefined : lastDay[major];
  return day === undefined ? null : Math.floor((Date.parse(`${day}T23:59:59Z`) - now.getTime()) / DAY_MS);
}
