import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DbkitError, errnoOf } from '../kernel/errors.ts';

const TEMPLATE = `# dbkit's configuration. Every setting is optional; environment variables and flags win over this file.
# \`dbkit config show --origin\` says where each value comes from, \`dbkit config check\` checks this file.

# postgresql:
#   dataDir: /var/lib/postgresql-data    # PGDATA
#   port: 5432                           # PGPORT
#   listenAddresses: localhost           # written into a new instance; "*" for a pod
#   username: dbuser                     # the application's role; its database bears the same name
#   localAuthMethod: trust               # peer or scram-sha-256 outside dev containers
#   maxStartupSeconds: 60                # counted from the server's last sign of progress
#   settings:                            # handed to the server above every configuration file
#     shared_buffers: 256MB

# backupDir: /var/lib/postgresql-backup
# maxBackups: 7
# retention:                             # besides maxBackups: \`dbkit backup cleanup --dry-run\` says what keeps what
#   daily: 7
#   weekly: 4
#   monthly: 12
# drill:                                 # what \`dbkit backup drill\` asks a restored copy; must answer true
#   assertions:
#     - { name: there are users, sql: SELECT count(*) > 0 FROM users }

# recovery:
#   allow: [repair, restore, reinitialize]
#   maxReplacementsPerHour: 3

# health:                                # what \`dbkit health\` asks, and from where on it matters
#   disk: { warning: 80, critical: 90 }  # percent
#   backupAge: { warning: 48, critical: 168 }  # hours
#   migrations: SELECT true              # must answer true
#   probes:
#     queue: { sql: "SELECT true" }

# services:                              # any long-lived command joins in
#   redis:
#     command: [redis-server, --port, "6379"]
#     ready: { tcp: 6379 }
#     restart: { policy: on-failure }
`;

/** Writes a commented file and never overwrites one. Rejects with `file.exists`. */
export async function initConfig(workingDirectory: string, file: string): Promise<{ readonly path: string }> {
  const path = resolve(workingDirectory, file);
  await writeFile(path, TEMPLATE, { flag: 'wx' }).catch((cause: unknown) => {
    if (errnoOf(cause) === 'EEXIST')
      throw new DbkitError('file.exists', `${path} exists already`, { hint: 'name another file: `dbkit config init FILE`' });
    throw new DbkitError('command.failed', `${path} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: 'name a file in a folder that you may write to',
      cause,
    });
  });
  return { path };
}
