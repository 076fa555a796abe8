/** When what happens during a stop, in milliseconds from its begin. */
export interface StopPlan {
  /** CMD has until here; then the services stop whether it has ended or not. */
  readonly commandMs: number;
  /** Fast shutdowns have until here; what still runs is then told to stop immediately (PostgreSQL replays its WAL at the next start). */
  readonly immediateMs: number;
  /** The end of the budget; dbkit leaves then, and kills nobody. */
  readonly endMs: number;
}

const RESERVE_MS = 1_500;

/** Divides the budget: at most 30 % for CMD, and a second and a half (a quarter of small budgets) for an immediate stop at its end. */
export function planStop(budgetMs: number): StopPlan {
  return { commandMs: budgetMs * 0.3, immediateMs: budgetMs - Math.min(RESERVE_MS, budgetMs / 4), endMs: budgetMs };
}
