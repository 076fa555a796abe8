import { DbkitError } from '../kernel/errors.ts';

export interface Orderable {
  readonly name: string;
  readonly dependsOn: readonly string[];
}

/**
 * Layers to start one after the other; within a layer everything starts at once. Rejects (throws `config.invalid`) a name given twice, a
 * dependency that nobody provides, and a circle, naming its path. A dependency on a disabled service is no dependency.
 */
export function startLayers<T extends Orderable>(services: readonly T[], disabled: readonly string[] = []): T[][] {
  const byName = new Map<string, T>();
  for (const service of services) {
    if (byName.has(service.name))
      throw new DbkitError('config.invalid', `two services are named '${service.name}'`, { hint: 'rename one of them' });
    byName.set(service.name, service);
  }
  const depth = new Map<string, number>();
  const depthOf = (service: T, path: readonly string[]): number => {
    const known = depth.get(service.name);
    if (known !== undefined) return known;
    if (path.includes(service.name)) {
      throw new DbkitError('config.invalid', `services depend on each other in a circle: ${[...path, service.name].join(' → ')}`, {
        hint: 'remove one dependsOn',
      });
    }
    const needed = service.dependsOn.filter((name) => !disabled.includes(name));
    const depths = needed.map((name) => {
      const other = byName.get(name);
      if (!other)
        throw new DbkitError('config.invalid', `service '${service.name}' depends on '${name}', which is not configured`, {
          hint: `configured are: ${[...byName.keys()].join(', ')}`,
        });
      return depthOf(other, [...path, service.name]) + 1;
    });
    const own = Math.max(0, ...depths);
    depth.set(service.name, own);
    return own;
  };
  const layers: T[][] = [];
  for (const service of services) {
    const own = depthOf(service, []);
    layers[own] ??= [];
    layers[own].push(service);
  }
  return layers;
}
