import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { isExecutable } from '../../machine/is-there.ts';
import type { InitScript } from '../init-script.ts';
import type { ServicePlugin } from '../plugin.ts';
import type { Service } from '../service.ts';

const INIT_TIMEOUT_MS = 10 * 60_000;

/** The content of a folder of services: executables run on every start, in C-locale order, and modules that each export a plugin. */
export interface ServicesFolder {
  readonly initScripts: readonly InitScript[];
  readonly services: readonly Service[];
}

/** Reads the folder; a folder that is missing holds nothing. Rejects with `config.invalid`, naming the file, when a module is no plugin. */
export async function readServicesFolder(
  directory: string,
  system: System,
  environment: Readonly<Record<string, string>>,
): Promise<ServicesFolder> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => isTrusted(directory, name, system)).sort(); // By code unit: the C locale.
  const initScripts: InitScript[] = [];
  const services: Service[] = [];
  for (const name of names) {
    const path = join(directory, name);
    if (name.startsWith('init-') && (await isExecutable(path))) initScripts.push(initScript(path, system, environment));
    else if (/\.m?js$/.test(name)) services.push(await loadPlugin(path, system));
  }
  return { initScripts, services };
}

/** Root runs these: what somebody else could have put there, or could change, is passed over, and said. */
function isTrusted(directory: string, name: string, { rights, log, self }: System): boolean {
  const path = join(directory, name);
  const stranger = rights.whoElseMayWrite(path, { onReadOnlyMount: true });
  if (stranger === undefined) return true;
  log.warn(
    'services.refused',
    `${path} is not run: ${stranger.who} may change ${stranger.path}; give it to ${self.name}, and take the write permission of others away`,
    { path },
  );
  return false;
}

function initScript(path: string, system: System, environment: Readonly<Record<string, string>>): InitScript {
  return {
    path,
    run: async (signal) => {
      system.log.info('init-script.run', `running ${path}`, { script: path });
      await system.runner
        .run(
          { file: path, args: [], env: { ...system.childEnvironment, ...environment }, as: 'caller', timeoutMs: INIT_TIMEOUT_MS },
          signal,
        )
        .catch((cause: unknown) => {
          signal.throwIfAborted();
          throw new DbkitError('service.failed', `${path} failed: ${wordsOf(cause)}`, {
            hint: 'correct the script, or remove its execute bit; the services were started before it',
            cause,
          });
        });
    },
  };
}

/** A module's default export is a ServicePlugin; it is created without settings of its own: a module carries what it needs. */
async function loadPlugin(path: string, system: System): Promise<Service> {
  try {
    const module = (await import(pathToFileURL(path).href)) as { default?: Partial<ServicePlugin<undefined>> };
    if (typeof module.default?.create !== 'function' || typeof module.default.name !== 'string')
      throw new Error('its default export is not a plugin { name, create }');
    const service = await module.default.create(undefined, system);
    return { ...pluginDefaults, ...service };
  } catch (cause) {
    throw new DbkitError('config.invalid', `${path} cannot be used as a service: ${wordsOf(cause)}`, {
      hint: 'correct the module, or move it out of the services folder',
      cause,
    });
  }
}

/** Defaults of a small plugin. */
const pluginDefaults = {
  dependsOn: [],
  onFail: 'ignore',
  restart: { policy: 'on-failure', backoffMs: 1_000, backoffMaxMs: 30_000, max: 5, windowMs: 300_000 },
  stopTimeoutMs: 5_000,
  prepare: async () => undefined,
  probes: [],
  backups: [],
} as const;
