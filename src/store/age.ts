import { createHash } from 'node:crypto';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { Secret } from '../kernel/secret.ts';

/** Bytes on their way to a store and back. Each object is encrypted by itself, so a copy needs nothing but the objects and an identity. */
export interface Seal {
  /** Behind the names of objects: '.age', or '' where nothing is encrypted. */
  readonly suffix: '' | '.age';
  /** Same text, same recipients; '' where nothing is encrypted. It tells nothing of a private key. */
  readonly keys: string;
  close(plain: Uint8Array): Promise<Buffer>;
  /** Rejects with `key.unusable` without an identity that fits, `data.corrupt` where the bytes are not what was written. */
  open(sealed: Uint8Array): Promise<Buffer>;
}

/** Nothing is encrypted: whoever reads the store reads the data. */
export const plainSeal: Seal = {
  suffix: '',
  keys: '',
  close: async (plain) => Buffer.from(plain),
  open: async (sealed) => Buffer.from(sealed),
};

/** An object by its name: one without `.age` was written before the copy was encrypted. */
export const opened = (seal: Seal, key: string, stored: Buffer): Promise<Buffer> =>
  key.endsWith('.age') ? seal.open(stored) : plainSeal.open(stored);

/**
 * age v1 (age-encryption.org/v1), as age(1) reads and writes it. To write, the recipients' public keys are enough; an identity (the text of a key
 * file, with comments) is needed only to read.
 */
export function ageSeal(recipients: readonly string[], identity: () => Promise<Secret | undefined>): Seal {
  return {
    suffix: '.age',
    keys: createHash('sha256')
      .update([...recipients].sort().join('\n'))
      .digest('hex')
      .slice(0, 16),
    async close(plain) {
      const { Encrypter } = await import('./age-parts.ts');
      const encrypter = new Encrypter();
      for (const recipient of recipients) encrypter.addRecipient(recipient);
      return gathered(await encrypter.encrypt(streamOf(plain)));
    },
    async open(sealed) {
      const { Decrypter } = await import('./age-parts.ts');
      const decrypter = new Decrypter();
      const keys = keysIn((await identity())?.reveal() ?? '');
      if (keys.length === 0) throw unusable('no identity is given, and the copy is encrypted');
      for (const key of keys) decrypter.addIdentity(key);
      try {
        return await gathered(await decrypter.decrypt(streamOf(sealed)));
      } catch (cause) {
        if (/no identity matched/.test(wordsOf(cause))) throw unusable('the identity that is given opens nothing here', cause);
        throw new DbkitError('data.corrupt', 'an encrypted object is damaged', { cause });
      }
    },
  };
}

const unusable = (words: string, cause?: unknown): DbkitError =>
  new DbkitError('key.unusable', words, { hint: 'name the file with `identity:` of the copy in dbkit.yaml, or with --identity', cause });

const keysIn = (text: string): string[] =>
  text.split('\n').flatMap((line) => (/^AGE-SECRET-KEY-\S+$/.test(line.trim()) ? [line.trim()] : []));

/** A new X25519 pair. */
export async function newIdentity(): Promise<{ readonly identity: string; readonly recipient: string }> {
  const { generateX25519Identity, identityToRecipient } = await import('./age-parts.ts');
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** The public keys of the identities in a key file. */
export async function recipientsOf(identity: Secret): Promise<readonly string[]> {
  const { identityToRecipient } = await import('./age-parts.ts');
  return Promise.all(keysIn(identity.reveal()).map((key) => identityToRecipient(key)));
}

const streamOf = (bytes: Uint8Array): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });

async function gathered(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
