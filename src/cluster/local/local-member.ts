import { join } from 'node:path';
import type { HaSettings } from '../../config/ha-settings.ts';
import type { ChildSpec } from '../../kernel/machine.ts';
import type { ClusterPlan, PlannedMember } from '../render/plan.ts';
import { localBackups } from './local-plan.ts';
import type { LocalState } from './local-state.ts';
import type { Programs } from './programs.ts';

export interface Command extends Pick<ChildSpec, 'file' | 'args' | 'env'> {
  readonly name: string;
}

export interface MemberSetting {
  readonly folder: string;
  readonly plan: ClusterPlan;
  readonly programs: Programs;
  readonly state: LocalState;
  /** dbkit itself. */
  readonly program: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Where the dbkit of a member keeps its state and Patroni’s log. */
export const memberState = (folder: string, name: string): string => join(folder, `${name}.dbkit`);

const STOP_SECONDS = '30';

/** A member as a container has it: the entrypoint runs Patroni with its guard, and nothing else. */
export function guardedMember({ name, server, dataDir }: PlannedMember, setting: MemberSetting): Command {
  const { folder, programs, state, program, env } = setting;
  const [file = 'dbkit', ...words] = program;
  const own = memberState(folder, name);
  return {
    name,
    file,
    args: [...words, 'entrypoint', '--strict'],
    env: {
      ...env,
      ...passwords(state),
      DBKIT_CONFIG: join(folder, `${name}.json`),
      DBKIT_STATE_DIR: own,
      LOG_DIR: own,
      BACKUP_DIR: localBackups(folder),
      DBKIT_SERVICES_DIR: join(own, 'services.d'),
      DBKIT_STOP_SECONDS: STOP_SECONDS,
      PGDATA: dataDir,
      PGPORT: String(server.port),
      PGHOST: join(folder, 'run'),
      POSTGRES_BIN_DIR: programs.binDir,
      POSTGRES_USER: setting.plan.superuser,
      POSTGRES_PASSWORD: state.password,
    },
  };
}

/** Patroni alone, where its user cannot reach dbkit. */
export const plainMember = ({ name }: PlannedMember, { folder, programs, state, env }: MemberSetting): Command => ({
  name,
  file: programs.patroni,
  args: [join(folder, `${name}.yml`)],
  env: { ...env, ...passwords(state) },
});

const passwords = ({ password }: LocalState): Readonly<Record<string, string>> => ({
  PATRONI_SUPERUSER_PASSWORD: password,
  PATRONI_REPLICATION_PASSWORD: password,
  PATRONI_REWIND_PASSWORD: password,
});

/** The file of a member’s dbkit (YAML is a superset of JSON); it holds no secret. What is not asked for does not run. */
export const memberConfiguration = (
  { name, dataDir, server }: PlannedMember,
  { folder, programs }: Pick<MemberSetting, 'folder' | 'programs'>,
  { members, writeAddress, pooler, scope }: HaSettings,
): object => ({
  stateDir: memberState(folder, name), // Patroni hands none of its variables on to what it calls.
  logDir: memberState(folder, name),
  backupDir: localBackups(folder),
  postgresql: { dataDir, port: server.port, socketDir: join(folder, 'run'), binDir: programs.binDir },
  services: { patroni: { config: join(folder, `${name}.yml`) } },
  ha: { scope, members, writeAddress, pooler },
  monitor: { enabled: false },
  backup: { afterStart: false },
  wal: { mode: 'off' },
});
