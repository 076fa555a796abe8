import type { Command } from 'commander';

/** The ways to name a moment (`PointFlags`), for every command that goes back to one. */
export const withPoint = (command: Command): Command =>
  command
    .option('--to <time>', 'to this moment, from the backup that serves it: a time (the server’s zone unless it says one), or `latest`')
    .option('--before <statement>', 'to the moment before this was committed: "drop table NAME", "truncate NAME", "delete from NAME"')
    .option('--to-lsn <lsn>', 'to this place in the WAL')
    .option('--to-xid <xid>', 'to the commit of this transaction')
    .option('--to-name <name>', 'to this restore point')
    .option('--exclusive', 'stop just before the moment')
    .option('--timeline <number>', 'a moment of this timeline (default: the one that the data is on)');
