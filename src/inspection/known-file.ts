/** One file of a stopped instance, relative to PGDATA, as its last clean shutdown left it. */
export interface KnownFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}
