import { DbkitError } from '../../kernel/errors.ts';

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
  /** systemd.time(7) calendar expressions. */
  readonly backupAt: string;
  readonly verifyAt: string;
}

export interface UnitFile {
  readonly name: string;
  readonly text: string;
}

/** Runs the server where nobody else does: a PGDATA without a unit of its own. */
export const OWN_SERVER_UNIT = 'dbkit-postgresql.service';
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
] as const;

/** The units that are enabled and started: timers, and the server where it is dbkit's. */
export const toEnable = ({ serverUnit }: Pick<UnitPlan, 'serverUnit'>): readonly string[] => [
  ...(serverUnit === OWN_SERVER_UNIT ? [OWN_SERVER_UNIT] : []),
  ...unitNames.filter((name) => name.endsWith('.timer')),
];

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
  ...job(plan, 'backup create --if-changed --low-priority'),
  ...unhurried,
  ...asUser(plan),
];

const verify = (plan: UnitPlan): string[] => [
  ...unit('Read the backups of PostgreSQL again', 'After=dbkit-backup.service'),
  ...job(plan, 'backup verify --all'),
  ...unhurried,
  ...asUser(plan),
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

const unit = (description: string, ...lines: readonly string[]): string[] => ['[Unit]', `Description=${description}`, ...lines, ''];
const installedFor = (target: string): string[] => ['[Install]', `WantedBy=${target}`];

const job = ({ program, environmentFile }: UnitPlan, words: string): string[] => [
  '[Service]',
  'Type=oneshot',
  `EnvironmentFile=${environmentFile}`,
  `ExecStart=${commandLine(program, words)}`,
];

const asUser = (plan: UnitPlan): string[] => [
  `User=${plan.user}`,
  'CapabilityBoundingSet=',
  ...hardened(plan, [
    'ProtectSystem=strict',
    `ReadWritePaths=${opened(plan)
      .map((path) => quoted(`-${path}`))
      .join(' ')}`,
  ]),
  'SystemCallFilter=@system-service',
  'SystemCallFilter=~@privileged @resources',
  'ProtectProc=invisible',
];

/** No MemoryDenyWriteExecute=, which kills Node's compiler, and no RemoveIPC=, which takes a server's shared memory when its user's last job ends. */
function hardened(plan: UnitPlan, files: readonly string[]): string[] {
  const { program, socketDir } = plan;
  const isBelow = (path: string, ...roots: string[]): boolean => roots.some((root) => path === root || path.startsWith(`${root}/`));
  const inHome = [...program, ...opened(plan)].some((path) => isBelow(path, '/home', '/root', '/run/user'));
  return [
    'UMask=0077',
    'NoNewPrivileges=yes',
    ...files,
    ...(inHome ? [] : ['ProtectHome=yes']),
    ...(isBelow(socketDir, '/tmp', '/var/tmp') ? [] : ['PrivateTmp=yes']),
    'PrivateDevices=yes',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
    'SystemCallErrorNumber=EPERM', // Node tries io_uring, and goes on without it.
  ];
}

const opened = ({ notes, writable }: UnitPlan): string[] => [...new Set([...notes, ...writable])];

const commandLine = (program: readonly string[], words: string): string =>
  [...program.map((word) => quoted(word.replaceAll('$', '$$$$'))), words].join(' ');

/** systemd.syntax(7): specifiers are doubled, and what holds blanks or quotes stands in quotes. */
function quoted(word: string): string {
  const plain = word.replaceAll('%', '%%');
  return /[\s"'\\;]/.test(plain) ? `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : plain;
}

const assigned = (name: string, value: string): string => quoted(`${name}=${value}`);
