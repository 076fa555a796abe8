/** dbkit's own probes, in the order in which a person would read their answers. */
export const probeNames = [
  'service',
  'connection',
  'authentication',
  'latency',
  'write',
  'data-directory',
  'disk',
  'connections',
  'long-queries',
  'idle-in-transaction',
  'blocked',
  'wal',
  'replication',
  'slots',
  'wraparound',
  'collations',
  'checksums',
  'log',
  'backups',
  'migrations',
] as const;
export type ProbeName = (typeof probeNames)[number];
