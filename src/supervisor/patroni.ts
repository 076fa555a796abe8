import { createMember, type MemberOptions } from '../cluster/member/member.ts';
import type { Service } from './service.ts';

/** Patroni as a service: it takes PostgreSQL's place, and with it its probes and backups; dbkit restores and recovers nothing under it. */
export function createPatroniService(options: MemberOptions, postgresql: Service): Service {
  const member = createMember(options);
  return {
    name: 'patroni',
    dependsOn: [],
    onFail: options.settings.onFail ?? postgresql.onFail,
    restart: postgresql.restart,
    stopTimeoutMs: postgresql.stopTimeoutMs,
    prepare: member.prepare,
    start: member.start,
    probes: postgresql.probes,
    backups: postgresql.backups,
  };
}
