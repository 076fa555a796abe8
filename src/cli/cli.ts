import type { Command } from 'commander';
import type { LoadedConfig } from '../config/layers.ts';
import type { TrustReport } from '../config/trusted-files.ts';
import { DbkitError, failures, isAbort, toFailure } from '../kernel/errors.ts';
import type { LogEvent, Logger, Signals } from '../kernel/machine.ts';
import { type App, createApp } from './app.ts';
import { createSink } from './output/log-sink.ts';
import { drawn } from './output/printable.ts';
import { failureDocument, failureText, successDocument } from './output/report.ts';
import { createStyle, type Style } from './output/style.ts';
import type { Parts } from './parts.ts';

/** Facts that main.ts knows and nothing below may look up for itself. */
export interface Surroundings {
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** The folder of this package, which also holds what is no program: manifests, templates. */
  readonly home: string;
  /** Node and the script: how this program is started again. */
  readonly program: readonly [string, string];
  readonly terminal: {
    readonly stdin: boolean;
    readonly stdout: boolean;
    readonly stderr: boolean;
    writeOut(text: string): void;
    writeError(text: string): void;
  };
  readonly signals: Signals;
  readonly open: Open;
}

/** Flags every command takes. */
export interface GlobalFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color?: boolean;
  readonly yes?: boolean;
  readonly config?: string;
  readonly logFormat?: 'human' | 'json';
  readonly strict?: boolean;
  readonly local?: string | true;
  readonly cluster?: string;
  readonly url?: string;
  readonly dataDir?: string;
  readonly socketDir?: string;
  readonly port?: number;
  readonly stateDir?: string;
  readonly logDir?: string;
  readonly backupDir?: string;
  readonly binDir?: string;
}

export interface OpenOptions {
  readonly flags: GlobalFlags;
  readonly environment: Surroundings['environment'];
  readonly workingDirectory: string;
  readonly isTerminal: boolean;
  readonly signals: Signals;
  readonly logLevel: 'debug' | 'info' | 'warn';
  /** Root's command is about root's own files (units, a project, the configuration): it keeps root's rights. */
  readonly asCaller?: boolean;
  /** The command's words: 'backup create'. */
  readonly command: string;
  log(event: LogEvent): void;
}
/** Configuration alone, or the whole application; adapters are loaded by whoever implements it. */
export interface Open {
  config(options: OpenOptions): Promise<LoadedConfig>;
  parts(options: OpenOptions): Promise<Parts>;
  trust(options: OpenOptions, wish: { readonly file: string; readonly forget: boolean }): Promise<TrustReport>;
  logger(options: OpenOptions): Logger;
}

export interface Call {
  readonly flags: GlobalFlags;
  readonly style: Style;
  readonly surroundings: Surroundings;
  /** Fires on SIGINT and SIGTERM, unless the command listens to signals itself. */
  readonly signal: AbortSignal;
  app(options?: Partial<Pick<OpenOptions, 'asCaller' | 'flags'>>): Promise<App>;
  /** Allows a configuration file as it is now, without reading any other. */
  trust(wish: { readonly file: string; readonly forget: boolean }): Promise<TrustReport>;
  config(): Promise<LoadedConfig>;
}

/** The result of a command: its report, how it looks, and its status where that is not 0. */
export interface Answer<Report> {
  readonly report: Report;
  text(style: Style): string;
  readonly exit?: number;
}

export interface Cli {
  /** Runs one command: opens what it asks for, prints its one document, remembers its status. `ownSignals`: it answers signals itself. */
  run<Report>(
    command: Command,
    work: (call: Call) => Promise<Answer<Report>>,
    options?: { ownSignals?: boolean; silentText?: boolean },
  ): Promise<void>;
  readonly status: () => number;
}

export function createCli(surroundings: Surroundings): Cli {
  const { terminal, environment, signals } = surroundings;
  let status = 0;
  return {
    status: () => status,
    async run(command, work, { ownSignals = false, silentText = false } = {}) {
      const flags = command.optsWithGlobals<GlobalFlags>();
      const colour = flags.color !== false && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
      const style = await createStyle(colour && terminal.stdout && !flags.json);
      const sink = createSink({
        format: flags.logFormat ?? 'human',
        isTerminal: terminal.stderr,
        style: await createStyle(colour && terminal.stderr),
        write: terminal.writeError,
      });
      const abort = new AbortController();
      let interruptedBy: 'SIGINT' | 'SIGTERM' | undefined;
      const unsubscribe = ownSignals
        ? () => undefined
        : signals.subscribe((name) => {
            if (name !== 'SIGINT' && name !== 'SIGTERM') return;
            interruptedBy = name;
            abort.abort();
          });
      const options: OpenOptions = {
        flags,
        environment,
        workingDirectory: surroundings.workingDirectory,
        isTerminal: terminal.stdin && terminal.stderr,
        signals,
        command: nameOf(command),
        logLevel: flags.verbose ? 'debug' : flags.quiet ? 'warn' : 'info',
        log: sink.log,
      };
      try {
        const call: Call = {
          flags,
          style,
          surroundings,
          signal: abort.signal,
          app: async (own) => createApp(await surroundings.open.parts({ ...options, ...own })),
          trust: (wish) => surroundings.open.trust(options, wish),
          config: () => surroundings.open.config(options),
        };
        const answer = await work(call);
        sink.clear();
        status = answer.exit ?? 0;
        if (flags.json) terminal.writeOut(successDocument(nameOf(command), answer.report));
        else if (!silentText) {
          const text = drawn(style, answer.text);
          if (text) terminal.writeOut(text.endsWith('\n') ? text : `${text}\n`);
        }
      } catch (thrown) {
        sink.clear();
        const known = isAbort(thrown) && interruptedBy ? new DbkitError('command.failed', `interrupted by ${interruptedBy}`) : thrown;
        const failure = toFailure(known);
        status = interruptedBy ? (interruptedBy === 'SIGINT' ? 130 : 143) : failures[failure.code].exit;
        if (flags.json) terminal.writeOut(failureDocument(nameOf(command), failure));
        if (flags.logFormat === 'json') surroundings.open.logger(options).error(failure.code, failure.message, { hint: failure.hint });
        else terminal.writeError(failureText(known));
      } finally {
        unsubscribe();
      }
    },
  };
}

/** 'config show' for a command below the program; '' for the program itself. */
export function nameOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}
