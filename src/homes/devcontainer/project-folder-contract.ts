import type { SettingChange, Settings } from './plan.ts';

/** Files of somebody's project, and those of dbkit's own package that go into it. */
export interface ProjectFolder {
  /** Undefined when there is none. */
  read(path: string): Promise<string | undefined>;
  /** True if a file holds these very bytes. */
  holds(path: string, body: Uint8Array): Promise<'same' | 'other' | 'nothing'>;
  /**
   * Whole or not at all, with the folders above it; a link within the project stays one. Rejects with `recovery.refused` for one that leads out of
   * it: a repository may bring it, to a file of whoever clones it.
   */
  write(path: string, body: string | Uint8Array, project: string): Promise<void>;
  /** A file of the package's `.devcontainer/`. */
  template(name: string): Promise<string>;
  /** The package of this very program, as `npm pack` makes it. */
  pack(signal: AbortSignal): Promise<Uint8Array>;
  /** JSON with comments. Rejects with `config.invalid`, naming the file and the line. */
  parse(text: string, name: string): Promise<Settings>;
  /** The text with these changes, every comment where it was. */
  edit(text: string, changes: readonly SettingChange[]): Promise<string>;
}
