import { DbkitError } from '../kernel/errors.ts';
import type { Alerter } from './contract.ts';
import { secretsOf } from './secrets.ts';
import type { AlertSettings } from './settings.ts';

/** A Kubernetes Secret; `stringData` is what people can read and the API server encodes. */
export interface SecretManifest {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly type: 'Opaque';
  readonly stringData: Readonly<Record<string, string>>;
}

/**
 * The secrets of the configured alert channels, read from where the configuration says they are. Rejects with `usage.invalid` when no
 * channel has one, with `config.invalid` when one cannot be read.
 */
export async function makeAlertSecret(
  { config, alerts }: { readonly config: { readonly alerts: AlertSettings }; readonly alerts: Alerter },
  { name, namespace }: { readonly name: string; readonly namespace: string | undefined },
): Promise<SecretManifest> {
  const secrets = secretsOf(config.alerts.channels);
  if (secrets.length === 0)
    throw new DbkitError('usage.invalid', 'no alert channel has a secret', {
      hint: 'alerts.channels in dbkit.yaml names them; docs/guide/health-and-monitor.md shows how',
    });
  const values = await Promise.all(secrets.map(async ({ key, place }) => [key, await alerts.reveal(place)] as const));
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    type: 'Opaque',
    stringData: Object.fromEntries(values),
  };
}
