import type { Config } from '../../config/config.ts';
import type { System } from '../../kernel/machine.ts';
import type { InitScript } from '../init-script.ts';
import type { Service } from '../service.ts';
import { createProcessService } from './process.ts';
import { readServicesFolder } from './services-folder.ts';

export interface Registry {
  readonly services: readonly Service[];
  readonly disabled: readonly string[];
  readonly initScripts: readonly InitScript[];
}

/**
 * Everything the orchestrator runs: PostgreSQL, the commands of dbkit.yaml, and what the services folder holds. Names in
 * `disabledServices` are left out but still listed; one that nothing bears is no mistake (the default names a service few have).
 */
export async function collectServices(
  config: Config,
  builtIn: readonly Service[],
  system: System,
  environment: Readonly<Record<string, string>>,
): Promise<Registry> {
  const folder = await readServicesFolder(config.servicesDir, system, environment);
  const commands = Object.entries(config.services).flatMap(([name, settings]) =>
    'config' in settings ? [] : [createProcessService({ name, settings, system, logDir: config.logDir })],
  );
  const all = [...builtIn, ...commands, ...folder.services];
  const isDisabled = ({ name }: Service): boolean => config.disabledServices.includes(name);
  return {
    services: all.filter((service) => !isDisabled(service)),
    disabled: all.filter(isDisabled).map(({ name }) => name),
    initScripts: folder.initScripts,
  };
}
