import type { App } from '../core/app.ts';
import { startLayers } from '../core/service-order.ts';

export interface ServicesReport {
  /** In the order of starting; those of one layer start together. */
  readonly services: readonly {
    readonly name: string;
    readonly layer: number;
    readonly dependsOn: readonly string[];
    readonly onFail: string;
    readonly state: string;
  }[];
  readonly disabled: readonly string[];
  readonly initScripts: readonly string[];
}

/** What is configured, in starting order, with the state a running supervisor publishes. */
export async function listServices({
  services,
  disabled,
  initScripts,
  board,
}: Pick<App, 'services' | 'disabled' | 'initScripts' | 'board'>): Promise<ServicesReport> {
  const published = await board.read();
  return {
    services: startLayers(services, disabled).flatMap((layer, depth) =>
      layer.map(({ name, dependsOn, onFail }) => ({
        name,
        layer: depth + 1,
        dependsOn,
        onFail,
        state: published?.services.find((row) => row.name === name)?.state ?? 'stopped',
      })),
    ),
    disabled,
    initScripts: initScripts.map(({ path }) => path),
  };
}
