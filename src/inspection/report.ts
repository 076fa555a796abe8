import type { Finding } from './findings.ts';

export interface InspectionReport {
  readonly dataDir: string;
  readonly state: 'empty' | 'foreign' | 'unfinished' | 'cluster';
  /** Server major of the data, null when unknown. */
  readonly major: number | null;
  readonly systemIdentifier: string | null;
  /** pg_control's own words ('shut down', 'in production', …), null when it cannot be read. */
  readonly clusterState: string | null;
  /** True when the server was shut down cleanly and (if an inventory was kept) nothing has changed since. */
  readonly clean: boolean;
  /** 'match', 'differs', 'void' (the server has run since) or 'none'. */
  readonly inventory: 'match' | 'differs' | 'void' | 'none';
  readonly checksums: boolean | null;
  readonly findings: readonly Finding[];
  readonly files: number;
  readonly sizeBytes: number;
  readonly deep: { readonly pages: number; readonly damaged: number } | null;
  readonly durationMs: number;
}

/** Looks at the data directory; never touches anything, and may be asked while the server runs. */
export type Inspect = (options: { readonly deep: boolean }, signal: AbortSignal) => Promise<InspectionReport>;
