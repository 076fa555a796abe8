import { type Proof, type ProofRequest, provePages } from './prove.ts';
import { readControl } from './state.ts';
import { walk } from './walk.ts';

const ROUNDS = 3;

/**
 * Proves pages beside a server that writes meanwhile: what is doubtful is read again, with the WAL that has been written since, and only what
 * stays doubtful counts. Of a server that is down the first reading is enough.
 */
export async function proveTwice(request: ProofRequest, signal: AbortSignal): Promise<Proof> {
  let proof = await provePages(request, signal);
  for (let round = 1; request.isLive && round < ROUNDS && proof.doubtful.length > 0; round += 1) {
    const paths = new Set(proof.doubtful.map(({ path }) => path));
    const read = readControl(request.dataDir);
    const now = { ...request, control: 'control' in read ? read.control : request.control, seen: walk(request.dataDir, signal) };
    const again = await provePages({ ...now, wanted: (path) => paths.has(path), budgetBytes: undefined }, signal);
    proof = { ...proof, doubtful: again.doubtful.filter(({ path }) => paths.has(path)) };
  }
  return proof;
}
