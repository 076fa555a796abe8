import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { globalOptions } from './global-flags.ts';

type Register = (program: Command, cli: Cli) => void;

interface CommandRow {
  readonly names: readonly string[];
  /** It walks all the others. */
  readonly wantsAll?: true;
  load(): Promise<Register>;
}

/** Every command, in the order and the groups of the help. What it is made of is loaded when it is asked for: most starts are one command's. */
export const commandGroups: readonly { readonly heading: string; readonly commands: readonly CommandRow[] }[] = [
  {
    heading: 'Every day:',
    commands: [
      { names: ['entrypoint'], load: async () => (await import('./entrypoint.ts')).registerEntrypoint },
      { names: ['up', 'down', 'restart'], load: async () => (await import('./up.ts')).registerUp },
      { names: ['status'], load: async () => (await import('./status.ts')).registerStatus },
      { names: ['wait'], load: async () => (await import('./status.ts')).registerWait },
      { names: ['sql'], load: async () => (await import('./sql.ts')).registerSql },
      { names: ['snapshot'], load: async () => (await import('./snapshot.ts')).registerSnapshot },
      { names: ['pull'], load: async () => (await import('./pull.ts')).registerPull },
      { names: ['seed'], load: async () => (await import('./seed.ts')).registerSeed },
      { names: ['services'], load: async () => (await import('./services.ts')).registerServices },
    ],
  },
  {
    heading: 'When it is broken:',
    commands: [
      { names: ['health'], load: async () => (await import('./health.ts')).registerHealth },
      { names: ['doctor'], load: async () => (await import('./doctor.ts')).registerDoctor },
      { names: ['runbook'], load: async () => (await import('./runbook.ts')).registerRunbook },
      { names: ['report'], load: async () => (await import('./report.ts')).registerReport },
      { names: ['inspect'], load: async () => (await import('./inspect.ts')).registerInspect },
      { names: ['recover'], load: async () => (await import('./recover.ts')).registerRecover },
      { names: ['explain'], load: async () => (await import('./explain.ts')).registerExplain },
      { names: ['salvage'], load: async () => (await import('./salvage.ts')).registerSalvage },
    ],
  },
  {
    heading: 'Backups:',
    commands: [
      { names: ['backup'], load: async () => (await import('./backup.ts')).registerBackup },
      { names: ['timeline'], load: async () => (await import('./timeline.ts')).registerTimeline },
      { names: ['restore-point'], load: async () => (await import('./timeline.ts')).registerRestorePoint },
      { names: ['wal'], load: async () => (await import('./wal.ts')).registerWal },
      { names: ['drill'], load: async () => (await import('./drill.ts')).registerDrill },
      { names: ['copies'], load: async () => (await import('./copies-overview.ts')).registerCopiesOverview },
      { names: ['keys'], load: async () => (await import('./keys.ts')).registerKeys },
    ],
  },
  {
    heading: 'Watch and upkeep:',
    commands: [
      { names: ['monitor'], load: async () => (await import('./monitor.ts')).registerMonitor },
      { names: ['alert'], load: async () => (await import('./alert.ts')).registerAlert },
      { names: ['maintenance'], load: async () => (await import('./maintenance.ts')).registerMaintenance },
    ],
  },
  {
    heading: 'Several machines:',
    commands: [{ names: ['ha'], load: async () => (await import('./ha.ts')).registerHa }],
  },
  {
    heading: 'Set-up:',
    commands: [
      { names: ['init'], load: async () => (await import('./init.ts')).registerInit },
      { names: ['adopt'], load: async () => (await import('./adopt.ts')).registerAdopt },
      { names: ['config'], load: async () => (await import('./config.ts')).registerConfig },
      { names: ['upgrade'], load: async () => (await import('./upgrade.ts')).registerUpgrade },
      { names: ['hooks'], load: async () => (await import('./hooks.ts')).registerHooks },
      { names: ['k8s'], load: async () => (await import('./k8s.ts')).registerK8s },
      { names: ['systemd'], load: async () => (await import('./systemd.ts')).registerSystemd },
      { names: ['completion'], wantsAll: true, load: async () => (await import('./completion.ts')).registerCompletion },
      { names: ['manual'], wantsAll: true, load: async () => (await import('./manual.ts')).registerManual },
      { names: ['help'], wantsAll: true, load: async () => (await import('./help.ts')).registerHelp },
    ],
  },
];

export const commandNames: readonly string[] = commandGroups.flatMap(({ commands }) => commands.flatMap(({ names }) => names));

/** The rows that a command line needs: its own, or all, where it names none or one that is made of the others. */
export function groupsFor(argv: readonly string[]): typeof commandGroups {
  const word = commandWord(argv);
  const own = commandGroups.flatMap(({ heading, commands }) =>
    commands
      .filter(({ names, wantsAll }) => word !== undefined && names.includes(word) && !wantsAll)
      .map((command) => ({ heading, commands: [command] })),
  );
  return own.length > 0 ? own : commandGroups;
}

/** The first word that is neither a flag for every command nor its value. None behind a flag that is no such: there the parser gives help, or refuses. */
function commandWord(argv: readonly string[]): string | undefined {
  const options = globalOptions();
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at]!;
    if (!word.startsWith('-')) return word;
    const [name] = word.split('=');
    const option = options.find(({ long, short }) => name === long || name === short);
    if (option === undefined) return undefined;
    const mayBeValue = name === word && (option.required || (option.optional && argv[at + 1]?.startsWith('-') === false));
    if (mayBeValue) at += 1;
  }
  return undefined;
}
