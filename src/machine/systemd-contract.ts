/** systemd as a thing to install units into. Rejects with `command.failed` where only root may. */
export interface Systemd {
  /** systemd is PID 1 (sd_booted(3)). */
  isBooted(): Promise<boolean>;
  /** Undefined when there is no such file. */
  read(path: string): Promise<string | undefined>;
  write(path: string, text: string, mode: number): Promise<void>;
  remove(path: string): Promise<void>;
  /** Where links lead. */
  realPath(path: string): Promise<string>;
  /** systemctl ARGS. */
  control(args: readonly string[], signal: AbortSignal): Promise<void>;
}

/** The program that started this process and watches it: systemd, or nobody. */
export interface SdNotify {
  /** How long it may stay silent before it is killed and started again; null: nobody watches. */
  readonly watchdogMs: number | null;
  /** 'READY=1', 'WATCHDOG=1', 'STATUS=…' (sd_notify(3)). Never rejects; does nothing where nobody listens. */
  tell(...assignments: readonly string[]): Promise<void>;
}
