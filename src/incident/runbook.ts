import { fill } from '../kernel/reasons.ts';
import { shellArgument } from '../kernel/shell-word.ts';
import { type RunbookFacts, told } from './facts.ts';
import type { Teller } from './tellers.ts';

/** The phases of an incident, and those of a restore to a moment, in their order. */
export const phases = {
  'first-response': 'First response',
  triage: 'Triage',
  resolution: 'Resolution',
  recovery: 'Recovery',
  assess: 'Assess',
  choose: 'Choose',
  prepare: 'Prepare',
  restore: 'Restore',
  validate: 'Validate',
  afterwards: 'Afterwards',
} as const;
export type PhaseId = keyof typeof phases;

/** One step, shown where its facts hold. `{name}` stands for a fact: in a command it is one word for the shell, and needs no quotes. */
export interface Step {
  readonly id: string;
  readonly phase: PhaseId;
  readonly when: (facts: RunbookFacts) => boolean;
  /** The facts, and what to do about them. */
  readonly words: string;
  /** To type; null where it is a thing to do, to look at, or to leave. */
  readonly command: string | null;
  /** The facts show that it is done. */
  readonly done?: (facts: RunbookFacts) => boolean;
}

export interface Runbook {
  readonly name: string;
  readonly title: string;
  /** It is about a cluster, and is refused where none is configured. */
  readonly needsCluster: boolean;
  /** It reads the WAL for what happened in it, which takes longer. */
  readonly needsMoments: boolean;
  /** The present facts look like it; null: only a person knows. */
  readonly fits: (facts: RunbookFacts) => boolean | null;
  /** The alerts with which it begins; none: no alert tells of it. */
  readonly toldBy: readonly Teller[];
  readonly steps: readonly Step[];
}

export interface StepReport {
  readonly id: string;
  readonly words: string;
  readonly command: string | null;
  /** null: the facts do not tell. */
  readonly done: boolean | null;
}

export interface PhaseReport {
  readonly id: PhaseId;
  readonly title: string;
  readonly steps: readonly StepReport[];
}

export const always = (): boolean => true;

/** The steps that these facts ask for, phase by phase. Pure. */
export function phasesOf({ steps }: Runbook, facts: RunbookFacts): readonly PhaseReport[] {
  const words = told(facts);
  // A person pastes it, perhaps as root, and a table may be named by anybody.
  const typed = Object.fromEntries(Object.entries(words).map(([name, value]) => [name, shellArgument(value)]));
  return (Object.keys(phases) as PhaseId[]).flatMap((id) => {
    const shown = steps.filter(({ phase, when }) => phase === id && when(facts));
    if (shown.length === 0) return [];
    return [
      {
        id,
        title: phases[id],
        steps: shown.map((step) => ({
          id: step.id,
          words: fill(step.words, words),
          command: step.command === null ? null : fill(step.command, typed),
          done: step.done === undefined ? null : step.done(facts),
        })),
      },
    ];
  });
}
