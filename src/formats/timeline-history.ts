import { type Lsn, parseLsn } from './wal-segment.ts';

/** One ancestor of a timeline: until where it was followed, and why it was left (timeline.c, readTimeLineHistory). */
export interface Fork {
  readonly timeline: number;
  readonly switchLsn: Lsn;
  readonly reason: string;
}

/** The lines of a `.history` file: `parent <tab> switchpoint <tab> reason`, oldest first. Lines that say something else are comments. */
export function parseTimelineHistory(text: string): Fork[] {
  return text.split('\n').flatMap((line) => {
    const [, timeline, lsn, reason] = /^\s*(\d+)\s+([0-9A-F]{1,8}\/[0-9A-F]{1,8})\s*(.*)$/i.exec(line) ?? [];
    return timeline === undefined || lsn === undefined
      ? []
      : [{ timeline: Number(timeline), switchLsn: parseLsn(lsn), reason: reason ?? '' }];
  });
}
