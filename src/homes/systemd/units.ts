import { DbkitError } from '../../kernel/errors.ts';
import { assigned, asUser, commandLine, hardened, installedFor, job, unit } from './unit-sections.ts';

/** The values for the units; every path is absolute. */
export interface UnitPlan {
  /** Node and the script. */
  readonly program: readonly string[];
  /** The user who checks and backs up: the user whose the data is. */
  readonly user: string;
  /** The unit that runs the server: postgresql@15-main.service, or dbkit's own. */
  readonly serverUnit: string;
  /** 0600: it may hold secrets. */
  readonly environmentFile: string;
  readonly socketDir: string;
  /** The paths that a check writes: state, folders of diaries. */
  readonly notes: readonly string[];
  /** The paths that backups and recoveries write besides: data, repository, logs, socket. */
  readonly writable: readonly string[];
  readonly intervalSeconds: number;
  readonly stopSeconds: number;
  /** The configuration wants the WAL kept, of a server that dbkit does not supervise. */
  readonly receivesWal: boolean;
  /** systemd.time(7) calendar expressions. */
  readonly backupAt: string;
  readonly verifyAt: string;
  /** A disaster that is rehearsed; undefined: none is. */
  readonly drill: { readonly at: string; readonly words: string } | undefined;
}

export interface UnitFile {
  readonly name: string;
  readonly text: string;
}

/** Runs the server where nobody else does: a PGDATA without a unit of its own. */
export const OWN_SERVER_UNIT = 'dbkit-postgresql.service';
/** Keeps the WAL of a server that another unit runs. */
const WAL_UNIT = 'dbkit-wal.service';
const DRILL_TIMER = 'dbkit-drill.timer';
/** Where systemd looks for what an administrator installs. */
export const UNIT_DIR = '/etc/systemd/system';
/** By this line a file is known to be dbkit's; others are neither written over nor removed. */
export const MARK = '# Made by `dbkit systemd install`, which writes it anew; changes of yours belong in `systemctl edit UNIT`.';

/** Every unit there may be, so that an uninstall finds those of an earlier install too. */
export const unitNames = [
  OWN_SERVER_UNIT,
  'dbkit-health.service',
  'dbkit-health.timer',
  'dbkit-recovery.service',
  'dbkit-backup.service',
  'dbkit-backup.timer',
  'dbkit-verify.service',
  'dbkit-verify.timer',
  'dbkit-drill.service',
  DRILL_TIMER,
  WAL_UNIT,
] as const;

/** The units that are enabled and started: timers, the server where it is dbkit's, and what keeps the WAL where it is not. */
export const toEnable = (plan: Pick<UnitPlan, 'serverUnit' | 'receivesWal' | 'drill'>): readonly string[] => [
  ...(plan.serverUnit === OWN_SERVER_UNIT ? [OWN_SERVER_UNIT] : []),
  ...unitNames.filter((name) => name.endsWith('.timer') && (name !== DRILL_TIMER || plan.drill !== undefined)),
  ...(receives(plan) ? [WAL_UNIT] : []),
];

const receives = ({ serverUnit, receivesWal }: Pick<UnitPlan, 'serverUnit' | 'receivesWal'>): boolean =>
  receivesWal && serverUnit !== OWN_SERVER_UNIT;

/** The unit files for systemd 247 and newer (Debian 11). Pure. */
export function renderUnits(plan: UnitPlan): readonly UnitFile[] {
  const units: [name: string, sections: readonly string[]][] = [
    ...(plan.serverUnit === OWN_SERVER_UNIT ? [[OWN_SERVER_UNIT, server(plan)] as [string, string[]]] : []),
    ['dbkit-health.service', health(plan)],
    ['dbkit-health.timer', healthTimer(plan)],
    ['dbkit-recovery.service', recovery(plan)],
    ['dbkit-backup.service', backup(plan)],
    ['dbkit-backup.timer', calendar('Back PostgreSQL up', plan.backupAt)],
    ['dbkit-verify.service', verify(plan)],
    ['dbkit-verify.timer', calendar('Read the backups of PostgreSQL again', plan.verifyAt)],
    ...(receives(plan) ? [[WAL_UNIT, receiver(plan)] as [string, string[]]] : []),
    ...(plan.drill ? drillUnits(plan, plan.drill) : []),
  ];
  return units.map(([name, sections]) => ({ name, text: `${[MARK, ...sections].map(oneLine).join('\n')}\n` }));
}

/** A line break in a setting would begin a directive of its own. */
function oneLine(line: string): string {
  if (!/[\u0000-\u001f\u007f]/.test(line)) return line;
  throw new DbkitError('config.invalid', `a line of a unit would hold a line break or a control character: ${JSON.stringify(line)}`, {
    hint: 'remove it from that setting or flag; nothing was written',
  });
}

/** A check that may touch nothing; what is due is left to the recovery. 2: not well, and told. 75: a recovery is under way. */
const health = (plan: UnitPlan): string[] => [
  ...unit('Check PostgreSQL', `After=${plan.serverUnit}`, 'OnFailure=dbkit-recovery.service'),
  ...job(plan, 'monitor --once --no-recover'),
  ...silent,
  'SuccessExitStatus=2 75',
  'TimeoutStartSec=5min',
  ...asUser({ ...plan, writable: [] }),
];

/** From the end of the last start, so that a slow check never meets itself. */
const healthTimer = ({ intervalSeconds }: UnitPlan): string[] => [
  ...unit('Check PostgreSQL every so often'),
  '[Timer]',
  'OnActiveSec=1s',
  `OnUnitActiveSec=${intervalSeconds}s`,
  'AccuracySec=1s',
  '',
  ...installedFor('timers.target'),
];

/**
 * Root, as it stops and starts the server's unit. It names that unit in no dependency: Requires= would start a server on data that is about to
 * be replaced, Conflicts= or After= would make the two wait for, or end, each other. It makes no server a child of its own, which would end with it.
 */
const recovery = (plan: UnitPlan): string[] => [
  ...unit('Recover PostgreSQL'),
  ...job(plan, 'monitor --once'),
  ...silent,
  `Environment=${assigned('DBKIT_UNIT', plan.serverUnit)}`,
  'SuccessExitStatus=75',
  'TimeoutStartSec=infinity',
  'CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID CAP_SYS_PTRACE',
  ...hardened(plan, ['ProtectSystem=full']), // Each of ReadWritePaths= is a mount of its own, and no rename reaches the quarantine from another.
  'SystemCallFilter=@system-service',
];

const backup = (plan: UnitPlan): string[] => [
  ...unit('Back PostgreSQL up', `After=${plan.serverUnit}`),
  ...job(plan, 'backup create --if-carrier --if-changed --low-priority'),
  ...unhurried,
  ...asUser(plan),
];

const verify = (plan: UnitPlan): string[] => [
  ...unit('Read the backups of PostgreSQL again', 'After=dbkit-backup.service'),
  ...job(plan, 'backup verify --all'),
  ...unhurried,
  ...asUser(plan),
];

/** On copies, or on a cluster of its own: never on the server. */
const drillUnits = (plan: UnitPlan, { at, words }: NonNullable<UnitPlan['drill']>): [name: string, sections: string[]][] => [
  [
    'dbkit-drill.service',
    [...unit('Rehearse a disaster of PostgreSQL', 'After=dbkit-backup.service'), ...job(plan, words), ...unhurried, ...asUser(plan)],
  ],
  [DRILL_TIMER, calendar('Rehearse a disaster of PostgreSQL every so often', at)],
];

/** It outlives stops of the server, which end its sessions only. */
const receiver = (plan: UnitPlan): string[] => [
  ...unit('Keep the WAL of PostgreSQL', `After=${plan.serverUnit}`),
  '[Service]',
  'Type=exec',
  `EnvironmentFile=${plan.environmentFile}`,
  `ExecStart=${commandLine(plan.program, 'wal receive --quiet')}`,
  'Restart=always',
  'RestartSec=5s',
  ...asUser(plan),
  '',
  ...installedFor('multi-user.target'),
];

/** A whole report every minute is for nobody; what changes is logged. stderr would follow stdout. */
const silent = ['StandardOutput=null', 'StandardError=journal'];

const unhurried = ['Nice=10', 'IOSchedulingClass=idle', 'TimeoutStartSec=infinity'];

const calendar = (description: string, at: string): string[] => [
  ...unit(description),
  '[Timer]',
  `OnCalendar=${at}`,
  'RandomizedDelaySec=15min',
  'Persistent=true',
  '',
  ...installedFor('timers.target'),
];

/** A server with what it may need: extensions and tablespaces live anywhere, so the file system is closed less tightly than for a check. */
const server = (plan: UnitPlan): string[] => [
  ...unit('PostgreSQL, supervised by dbkit', 'After=network.target'),
  '[Service]',
  'Type=notify',
  'NotifyAccess=all',
  `User=${plan.user}`,
  'Environment=DBKIT_BACKUP_SCHEDULE=off', // The timer takes the backups; the file below may say otherwise.
  `EnvironmentFile=${plan.environmentFile}`,
  `ExecStart=${commandLine(plan.program, 'up --strict --quiet')}`,
  'KillMode=mixed',
  `TimeoutStopSec=${plan.stopSeconds + 5}s`,
  'TimeoutStartSec=infinity', // Crash recovery takes as long as it takes; dbkit itself notices one that makes no progress.
  'Restart=on-failure',
  'RestartSec=5s',
  'RestartPreventExitStatus=65 77 78', // A person, or the recovery, must decide first.
  'OOMPolicy=continue',
  ...(/^\/(var\/)?run\/postgresql$/.test(plan.socketDir) ? ['RuntimeDirectory=postgresql', 'RuntimeDirectoryPreserve=yes'] : []),
  'NoNewPrivileges=yes',
  'CapabilityBoundingSet=',
  'ProtectSystem=full',
  'ProtectClock=yes',
  'ProtectControlGroups=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'SystemCallArchitectures=native',
  '',
  ...installedFor('multi-user.target'),
];
