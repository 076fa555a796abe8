import type { RecoverRequest } from '../recovery/report.ts';
import type { RestoreRequest } from '../restore/contract.ts';
import type { UpgradeRequest } from '../upgrade/contract.ts';

export type ControlRequest =
  | { readonly command: 'ping' }
  | { readonly command: 'status' }
  | { readonly command: 'stop'; readonly service?: string }
  | { readonly command: 'start'; readonly service?: string }
  | { readonly command: 'restart'; readonly service?: string }
  | { readonly command: 'reload' }
  | { readonly command: 'recover'; readonly request: RecoverRequest }
  | { readonly command: 'restore'; readonly request: RestoreRequest; readonly dryRun: boolean }
  /** `backup`: the one that was taken while the server ran. */
  | { readonly command: 'upgrade'; readonly request: UpgradeRequest; readonly backup?: string }
  | { readonly command: 'shutdown' };

/** The control socket (0600, or the data owner's group): `<stateDir>/control.sock`, HTTP. Every request says whose data it is about. */
export interface Control {
  /**
   * Rejects with `lock.held` when another supervisor of this state directory answers. Failures of `handle` travel to the asker, and so do log
   * events while data is restored or recovered; `gone` fires when the asker has left.
   */
  serve(handle: (request: ControlRequest, signal: AbortSignal, gone: AbortSignal) => Promise<unknown>): Promise<{ close(): Promise<void> }>;
  /** Undefined when no supervisor is running. Rejects with the supervisor's own failure; with `control.elsewhere` where it is for other data. */
  ask(request: ControlRequest, signal: AbortSignal): Promise<unknown | undefined>;
}
