import { DbkitError } from '../kernel/errors.ts';
import type { Refusal } from '../kernel/reasons.ts';
import type { Obstacle } from './contract.ts';
import { type ObstacleId, obstacleRows } from './obstacles.ts';

/** Rejects with the first of them; the others are named too. */
export function requireNone(obstacles: readonly Obstacle[]): void {
  const [first, ...others] = obstacles;
  if (first === undefined) return;
  const also = others.length > 0 ? `; also: ${others.map(({ because }) => because).join('; ')}` : '';
  throw new DbkitError(codeOf(first.reason), `${first.because}${also}`, { hint: first.next });
}

const codeOf = (id: ObstacleId): Refusal['code'] => obstacleRows.find((row) => row.id === id)!.refusal.code;
