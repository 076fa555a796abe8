import type { UnitPlan } from './units.ts';

export const unit = (description: string, ...lines: readonly string[]): string[] => ['[Unit]', `Description=${description}`, ...lines, ''];
export const installedFor = (target: string): string[] => ['[Install]', `WantedBy=${target}`];

export const job = ({ program, environmentFile }: UnitPlan, words: string): string[] => [
  '[Service]',
  'Type=oneshot',
  `EnvironmentFile=${environmentFile}`,
  `ExecStart=${commandLine(program, words)}`,
];

export const asUser = (plan: UnitPlan): string[] => [
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
export function hardened(plan: UnitPlan, files: readonly string[]): string[] {
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

export const commandLine = (program: readonly string[], words: string): string =>
  [...program.map((word) => quoted(word.replaceAll('$', '$$$$'))), words].join(' ');

/** systemd.syntax(7): specifiers are doubled, and what holds blanks or quotes stands in quotes. */
function quoted(word: string): string {
  const plain = word.replaceAll('%', '%%');
  return /[\s"'\\;]/.test(plain) ? `"${plain.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : plain;
}

export const assigned = (name: string, value: string): string => quoted(`${name}=${value}`);
