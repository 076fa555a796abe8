/** The answer of lstat(2) for a source file before a copy read it; times in nanoseconds since 1970. */
export interface FileStamp {
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

/** Within it a file could be written twice and show one time: the coarsest timestamps in use (FAT's) step by two seconds. */
const MARGIN_NS = 2_000_000_000n;

/**
 * True if a source file still holds the very bytes that an earlier copy read: nothing lstat shows has moved, and it had been at rest for a
 * margin when that copy began. ctime cannot be set by a program, so `touch -d`, `cp -p` or `tar` cannot fake this (DESIGN.md section 5).
 */
export function isUnchanged(now: FileStamp, earlier: FileStamp | undefined, earlierCopyBeganNs: bigint): boolean {
  if (earlier === undefined) return false;
  const same =
    now.sizeBytes === earlier.sizeBytes &&
    now.mtimeNs === earlier.mtimeNs &&
    now.ctimeNs === earlier.ctimeNs &&
    now.inode === earlier.inode;
  return same && wasAtRest(now.mtimeNs, earlierCopyBeganNs) && wasAtRest(now.ctimeNs, earlierCopyBeganNs);
}

/** True if a time was past by a margin when a copy began: only then it tells one content from the next. */
export const wasAtRest = (timeNs: bigint, copyBeganNs: bigint): boolean => timeNs < copyBeganNs - MARGIN_NS;
