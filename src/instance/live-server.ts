export interface LiveServer {
  readonly version: string;
  readonly startedAt: string;
  readonly inRecovery: boolean;
  readonly connections: { readonly used: number; readonly max: number };
  readonly databaseSizeBytes: number;
}
