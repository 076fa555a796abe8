import type { SecretPlace } from '../../alerts/channel.ts';
import type { Config } from '../../config/config.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import { Secret } from '../../kernel/secret.ts';
import { recipientsOf } from '../../store/age.ts';
import { sealOf } from '../../store/open-store.ts';

export interface KeyCheck {
  readonly copy: string;
  readonly recipients: readonly string[];
  /** 'none': nothing is encrypted; 'absent': no identity here, as it should be where copies are only written. */
  readonly state: 'opens' | 'does-not-open' | 'absent' | 'none';
  /** Of the recipients, those whose identity is here. */
  readonly own: readonly string[];
  readonly problem: string | null;
}

/** For each copy: something is encrypted to its recipients and opened again with the identity that is given. */
export async function checkKeys(
  { config, reveal }: { readonly config: Pick<Config, 'copies'>; reveal(place: SecretPlace): Promise<string> },
  identity: SecretPlace | undefined,
): Promise<readonly KeyCheck[]> {
  const checks: KeyCheck[] = [];
  for (const [copy, settings] of Object.entries(config.copies)) {
    const { recipients } = settings;
    const place = identity ?? settings.identity;
    const base = { copy, recipients, own: [], problem: null };
    if (recipients.length === 0) checks.push({ ...base, state: 'none' });
    else if (place === undefined) checks.push({ ...base, state: 'absent' });
    else {
      try {
        const seal = sealOf(settings, { reveal }, place);
        const proof = Buffer.from(`proof that ${copy} can be read`);
        if (!(await seal.open(await seal.close(proof))).equals(proof))
          throw new DbkitError('data.corrupt', 'what was read back differs from what was written');
        const own = (await recipientsOf(new Secret(await reveal(place)))).filter((one) => recipients.includes(one));
        checks.push({ ...base, own, state: 'opens' });
      } catch (cause) {
        checks.push({ ...base, state: 'does-not-open', problem: wordsOf(cause) });
      }
    }
  }
  return checks;
}
