import { type Proof, type ProofRequest, provePages } from './prove.ts';
import type { ProofResult } from './prove-file.ts';
import { readControl } from './state.ts';
import { walk } from './walk.ts';

const ROUNDS = 3;
/** Each further reading begins with the WAL since the backup and reads every doubtful file again: more than this is left unproven. */
const REREAD_BYTES_MAX = 2 * 1024 * 1024 * 1024;
const REREAD_LIMIT_MS = 120_000;

/**
 * Proves pages beside a server that writes meanwhile: what is doubtful is read again, with the WAL that has been written since, and only a page
 * that is doubtful every time counts. Where the time or the bytes for that are not enough it is unproven, never damaged. Of a server that is
 * down the first reading is enough.
 */
export async function proveTwice(request: ProofRequest, signal: AbortSignal): Promise<Proof> {
  let proof = await provePages(request, signal);
  for (let round = 1; request.isLive && round < ROUNDS && proof.doubtful.length > 0; round += 1) {
    const paths = new Set(proof.doubtful.map(({ path }) => path));
    const read = readControl(request.dataDir);
    const now = { ...request, control: 'control' in read ? read.control : request.control, seen: walk(request.dataDir, signal) };
    const hurried = { budgetBytes: REREAD_BYTES_MAX, limitMs: Math.min(request.limitMs ?? REREAD_LIMIT_MS, REREAD_LIMIT_MS) };
    const limits = {
      ...(request.isPatient ? {} : hurried), // Nobody waits for a patient one, and what it gives up for want of time it gives up each time.
      must: undefined,
      suspicions: request.must, // A doubt that rests on one is none without it.
    };
    const again = await provePages({ ...now, ...limits, wanted: (path) => paths.has(path) }, signal);
    proof = again.isCutShort
      ? { ...proof, doubtful: [], unproven: [...proof.unproven, ...paths], isCutShort: true, isLate: true }
      : { ...proof, doubtful: both(proof.doubtful, again.doubtful) };
  }
  tell(proof, request);
  return proof;
}

/** Of the later reading, the pages that were doubtful in the earlier one too. Pure. */
export function both(earlier: readonly ProofResult[], later: readonly ProofResult[]): ProofResult[] {
  const byPath = new Map(earlier.map((result) => [result.path, result] as const));
  return later.flatMap((result) => {
    const before = byPath.get(result.path);
    const doubted = new Set(before?.doubts.map(({ block }) => block));
    const doubts = result.doubts.filter(({ block }) => doubted.has(block));
    const isUnreadable = result.unreadable !== undefined && before?.unreadable !== undefined;
    return doubts.length > 0 || isUnreadable ? [{ ...result, doubts }] : [];
  });
}

function tell({ unknown, unproven }: Proof, { log }: ProofRequest): void {
  for (const { path, emptied, pages } of unknown)
    log.debug(
      'pages.unknown',
      `${emptied.length} of ${pages} pages of ${path} hold zeroes, and neither a backup nor the WAL says why: unknown`,
      {
        path,
      },
    );
  if (unproven.length > 0)
    log.warn('pages.unproven', `there was no time to read ${unproven.join(', ')} again, so nothing is said of it`, { paths: unproven });
}
