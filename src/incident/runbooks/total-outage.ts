import { always, type Runbook } from '../runbook.ts';
import { serverIsDown } from '../tellers.ts';

/** No member serves. */
export const totalOutage = {
  name: 'total-outage',
  title: 'no member serves',
  needsCluster: true,
  needsMoments: false,
  fits: ({ hasCluster, answering }) => hasCluster && answering.length === 0,
  toldBy: serverIsDown,
  steps: [
    {
      id: 'outage-facts',
      phase: 'first-response',
      when: ({ answering }) => answering.length === 0,
      words: 'none of {members} answers; a monitor saw them last at {seenAt}, led by {primary}',
      command: 'dbkit ha status',
    },
    {
      id: 'outage-some-answer',
      phase: 'first-response',
      when: ({ answering, writers }) => answering.length > 0 && writers.length === 0,
      words: '{answering} answer, and nobody leads',
      command: 'dbkit runbook primary-down',
    },
    {
      id: 'outage-over',
      phase: 'first-response',
      when: ({ writers }) => writers.length > 0,
      words: '{writers} accepts writes: it is no total outage, or it is over',
      command: 'dbkit ha check',
      done: always,
    },
    {
      id: 'outage-touch-nothing',
      phase: 'first-response',
      when: ({ writers }) => writers.length === 0,
      words: 'start no server by hand and remove no data directory: an old member that starts first can win over newer rows',
      command: null,
    },
    {
      id: 'outage-etcd',
      phase: 'triage',
      when: ({ writers }) => writers.length === 0,
      words: 'etcd first: more than half of its machines must answer',
      command: 'etcdctl endpoint health --cluster',
    },
    {
      id: 'outage-who-has-most',
      phase: 'triage',
      when: ({ writers }) => writers.length === 0,
      words: 'on each machine, see what the data holds: the newest timeline, then the latest checkpoint; {primary} led last',
      command: 'dbkit inspect',
    },
    {
      id: 'outage-backups',
      phase: 'triage',
      when: ({ goodBackup }) => goodBackup !== null,
      words:
        'the newest good backup in the repository of this machine is {goodBackup}, of {goodBackupAt}; see which moments its WAL reaches',
      command: 'dbkit timeline',
    },
    {
      id: 'outage-backups-elsewhere',
      phase: 'triage',
      when: always,
      words: 'only the repository of this machine was read: those of the other machines and the copies elsewhere may hold a newer one',
      command: 'dbkit copies',
    },
    {
      id: 'outage-start',
      phase: 'resolution',
      when: ({ writers }) => writers.length === 0,
      words: 'start Patroni on {primary} first, wait until it leads, then on the others',
      command: 'ssh {primaryHost} systemctl start patroni',
    },
    {
      id: 'outage-restore',
      phase: 'resolution',
      when: ({ writers, goodBackup }) => writers.length === 0 && goodBackup !== null,
      words:
        'only when no machine has its data any more, or none may lead: restore the whole cluster; see the plan from {goodBackup} first',
      command: 'dbkit ha restore --to latest --dry-run',
    },
    {
      id: 'outage-restore-go',
      phase: 'resolution',
      when: ({ writers, goodBackup }) => writers.length === 0 && goodBackup !== null,
      words:
        'then do it, on the machine that shall lead first: what is there is set aside whole, and it says what to type on the other machines',
      command: 'dbkit ha restore --to latest',
    },
    {
      id: 'outage-no-backup',
      phase: 'resolution',
      when: ({ goodBackup }) => goodBackup === null,
      words: 'no good backup is known on this machine: look for the copies elsewhere before anything is removed',
      command: 'dbkit copies',
    },
    {
      id: 'outage-prove',
      phase: 'recovery',
      when: always,
      words: 'a commit through the write address is acknowledged',
      command: 'dbkit ha check',
      done: ({ writers, leader }) => writers.length === 1 && writers[0] === leader,
    },
    {
      id: 'outage-redundancy',
      phase: 'recovery',
      when: always,
      words: 'every member streams',
      command: 'dbkit ha status',
      done: ({ members, streaming, writers }) => writers.length === 1 && streaming.length === members.length - 1,
    },
  ],
} as const satisfies Runbook;
