import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Manifest } from './manifests.ts';

/** Enough of an API server for `kubectl --dry-run=client`, which asks one what it has to do with each kind, and nothing else. */
export async function serveDiscovery(manifests: readonly Manifest[]): Promise<{ readonly url: string; close(): void }> {
  const versions = new Map<string, Set<string>>();
  for (const { apiVersion, kind } of manifests) versions.set(apiVersion, (versions.get(apiVersion) ?? new Set()).add(kind));
  const groups = [...versions.keys()].filter((version) => version.includes('/'));
  const plural = (kind: string): string => `${kind.toLowerCase()}s`.replace(/ys$/, 'ies');
  const documents: Record<string, object> = {
    '/api': { kind: 'APIVersions', versions: ['v1'] },
    '/apis': {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.map((groupVersion) => {
        const [name, version] = groupVersion.split('/');
        return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
      }),
    },
  };
  for (const [groupVersion, kinds] of versions)
    documents[groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`] = {
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion,
      resources: [...kinds].map((kind) => ({ name: plural(kind), kind, namespaced: kind !== 'Namespace', verbs: ['create', 'get'] })),
    };
  const server = createServer(({ url = '' }, response) => {
    const found = documents[url.split('?')[0]!];
    response
      .writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
      .end(JSON.stringify(found ?? { kind: 'Status', code: 404 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}
