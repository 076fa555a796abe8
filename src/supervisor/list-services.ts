import type { StatusBoard } from '../control/status.ts';
import type { InitScript } from './init-script.ts';
import type { Service } from './service.ts';
import { startLayers } from './service-order.ts';

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

/** The services that are configured, in starting order, with the state a running supervisor publishes. */
export async function listServices({
  services,
  disabled,
  initScripts,
  board,
}: {
  readonly services: readonly Service[];
  readonly disabled: readonly string[];
  readonly initScripts: readonly InitScript[];
  readonly board: StatusBoard;
}): Promise<ServicesReport> {
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
