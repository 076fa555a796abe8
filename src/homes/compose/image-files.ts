import type { Candidate } from './plan.ts';
import type { Way } from './ways.ts';

const NODE = { debian: 'docker.io/library/node:22-bookworm-slim', alpine: 'docker.io/library/node:22-alpine' };
const ENTRY = '/opt/dbkit/package/bin/dbkit-postgres';
/** By this line a Dockerfile of dbkit's own is known. */
export const MARK = 'written by `dbkit init compose`';

/** The image of the service with dbkit in it; beside a server of Bitnami's the official one, whose programs are where dbkit looks. */
export function dockerfile({ image, kind }: Candidate, way: Way): string {
  const base = kind.family === 'bitnami' ? `docker.io/library/postgres:${kind.major ?? 'latest'}` : image;
  const from = base.includes('$') ? 'ARG POSTGRES_IMAGE\nFROM $POSTGRES_IMAGE' : `FROM ${base}`;
  return [
    `# ${way === 'entrypoint' ? 'dbkit as the ENTRYPOINT of the server' : 'dbkit beside the server'}, ${MARK}. Going back takes only the image's name.`,
    from,
    `COPY --from=${kind.alpine ? NODE.alpine : NODE.debian} /usr/local/bin/node /usr/local/bin/`,
    'ADD dbkit.tgz /opt/dbkit/',
    ...(kind.alpine ? ['RUN apk add --no-cache libstdc++ flock procps'] : []),
    'RUN ln -s /opt/dbkit/package/bin/dbkit.js /usr/local/bin/dbkit',
    ...(way === 'beside'
      ? [`ENTRYPOINT ["${ENTRY}", "beside"]`, 'CMD ["status"]']
      : [
          // A new named volume takes over the owner of the folder that it covers.
          'RUN mkdir -p /var/lib/postgresql-backup /var/lib/dbkit /var/log/postgresql && chown postgres: /var/lib/postgresql-backup /var/lib/dbkit /var/log/postgresql',
          'COPY dbkit.yaml /etc/dbkit/',
          'HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["dbkit", "status", "--wait", "--timeout", "3"]',
          `ENTRYPOINT ["${ENTRY}"]`,
          'CMD []',
        ]),
    '',
  ].join('\n');
}

/** The server's configuration that a container needs, and what its `command` said. */
export function settingsFile(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `    ${name}: ${JSON.stringify(value)}`);
  return [
    '# dbkit for the server of this compose project; docs/CONFIGURATION.md has every setting.',
    'postgresql:',
    '  listenAddresses: "*" # Of a new cluster; one that is there keeps its own.',
    ...(lines.length > 0 ? ['  settings: # What `command` said in the compose file.', ...lines] : []),
    '',
  ].join('\n');
}
