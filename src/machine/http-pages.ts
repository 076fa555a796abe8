import type { ListenAddress } from '../kernel/listen-address.ts';

export interface Page {
  readonly status: number;
  /** Its media type. */
  readonly type: string;
  readonly body: string;
  /** The rights of a page (Content-Security-Policy); default: nothing. */
  readonly policy?: string;
}
export interface Endpoint {
  readonly port: number;
  close(): Promise<void>;
}
/**
 * Shows pages over HTTP until it is closed; `pageAt` answers for a path, and `hosts` are more names that it may be asked by. Rejects with
 * `port.in-use`, or `service.failed` with the reason.
 */
export type ServePages = (
  address: ListenAddress,
  pageAt: (path: string) => Promise<Page | undefined>,
  hosts?: readonly string[],
) => Promise<Endpoint>;
