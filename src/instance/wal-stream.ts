import { formatLsn, type Lsn } from '../formats/wal-segment.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import { type Client, type ConnectionTarget, closeClient, openClient } from './connection.ts';
import { startupOptions } from './session-settings.ts';

/**
 * A session with a walsender (protocol-replication in PostgreSQL's documentation). Only its positions are of use here: WAL itself is copied from
 * pg_wal, and this session is how commits learn that it was.
 */
export interface WalStream {
  /** WAL before it is durable on the server, as it has said last. */
  sentLsn(): Lsn;
  /** Resolves when the server has said more since the last call, or after `ms`. Rejects with `service.unready` once the session is over. */
  more(ms: number, signal: AbortSignal): Promise<void>;
  /** Tells the server that WAL before `lsn` is durable here as well: commits that waited for it return. */
  confirm(lsn: Lsn, now: Date): void;
  /** Idempotent; never rejects. */
  end(): Promise<void>;
}

export interface WalStreamWish {
  /** The application_name, by which synchronous_standby_names knows it. */
  readonly name: string;
  readonly from: Lsn;
  readonly timeline: number;
  readonly timeoutMs: number;
}

/** Messages of the walsender begin with a letter and the position of what follows it, XLogData and PrimaryKeepalive (walsender.c). */
const [XLOG_DATA, KEEPALIVE, STATUS_UPDATE] = ['w', 'k', 'r'].map((letter) => letter.charCodeAt(0));
const XLOG_DATA_HEADER_BYTES = 25;
const STATUS_UPDATE_BYTES = 34;
/** Microseconds between 1970 and 2000, where PostgreSQL's time begins. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

/** The driver's, which its types do not name. */
interface Sending {
  sendCopyFromChunk(message: Buffer): void;
}

/** Rejects with `service.unready` where the server lets no replication session in (pg_hba.conf, max_wal_senders), or `from` is not there. */
export async function openWalStream(target: ConnectionTarget, wish: WalStreamWish, signal: AbortSignal): Promise<WalStream> {
  const client = await openClient(
    target,
    {
      options: startupOptions({ as: 'superuser' }),
      application_name: wish.name,
      replication: 'true',
      connectionTimeoutMillis: wish.timeoutMs,
    },
    signal,
  );
  const stream = streamOf(client, wish);
  try {
    await stream.begun;
    return stream;
  } catch (cause) {
    await stream.end();
    signal.throwIfAborted();
    throw over(cause);
  }
}

function streamOf(client: Client, { from, timeline }: WalStreamWish): WalStream & { readonly begun: Promise<void> } {
  let [sent, isNews] = [from, false];
  let ended: { readonly cause: unknown } | undefined;
  let wake = (): void => undefined;
  const heard = (): void => {
    isNews = true;
    wake();
  };
  client.connection.on('copyData', ({ chunk }: { chunk: Buffer }) => {
    const position = positionIn(chunk);
    if (position !== undefined && position > sent) sent = position;
    heard();
  });
  const begun = new Promise<void>((resolve, reject) => {
    client.connection.once('replicationStart', () => resolve());
    const command = client.query(`START_REPLICATION PHYSICAL ${formatLsn(from)} TIMELINE ${timeline}`);
    const finish = (cause: unknown): void => {
      ended = { cause };
      reject(cause);
      heard();
    };
    command.then(() => finish(new Error('the server has ended the stream')), finish);
  });
  return {
    begun,
    sentLsn: () => sent,
    async more(ms, signal) {
      if (!isNews)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
          signal.addEventListener('abort', wake, { once: true });
        }).finally(() => signal.removeEventListener('abort', wake));
      signal.throwIfAborted();
      if (ended) throw over(ended.cause);
      isNews = false;
    },
    confirm: (lsn, now) => (client.connection as unknown as Sending).sendCopyFromChunk(statusUpdate(lsn, now)),
    end: () => closeClient(client),
  };
}

function positionIn(message: Buffer): Lsn | undefined {
  if (message[0] === XLOG_DATA) return message.readBigUInt64BE(1) + BigInt(message.length - XLOG_DATA_HEADER_BYTES);
  return message[0] === KEEPALIVE ? message.readBigUInt64BE(1) : undefined;
}

/** Written, durable and applied are one here: a commit with remote_apply would otherwise wait for ever. */
function statusUpdate(lsn: Lsn, now: Date): Buffer {
  const message = Buffer.alloc(STATUS_UPDATE_BYTES);
  message[0] = STATUS_UPDATE!;
  for (const offset of [1, 9, 17]) message.writeBigUInt64BE(lsn, offset);
  message.writeBigInt64BE(BigInt(now.getTime()) * 1000n - POSTGRES_EPOCH_MICROS, 25);
  return message;
}

const over = (cause: unknown): DbkitError =>
  new DbkitError('service.unready', `no commit can be confirmed to the server: ${wordsOf(cause)}`, {
    hint: 'a line `local replication all trust` in pg_hba.conf lets dbkit in, and max_wal_senders must not be 0',
    cause,
  });
