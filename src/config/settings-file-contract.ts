/** The configuration file, and files for secrets that it names, as things to write to. */
export interface SettingsFile {
  /** Puts a value under these keys and keeps everything else, comments included; where it is now. Rejects with `config.invalid`. */
  set(keys: readonly string[], value: unknown): Promise<string>;
  /** `<stateDir>/secrets/<name>`, 0600. */
  keepSecret(name: string, text: string): Promise<string>;
  forgetSecret(file: string): Promise<void>;
}
