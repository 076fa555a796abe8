import { appendFileSync } from 'node:fs';
import { expect } from 'vitest';
import { isLongTier } from '../harness/tier.ts';
import { scenario } from './disaster.ts';
import { oneHarm } from './harm-round.ts';
import { type Circumstances, makeScene } from './harm-scene.ts';
import { random, rounds } from './random.ts';

const isRandom = process.env['DBKIT_TEST_RANDOM'] === '1';
const HARMS = Number(process.env['DBKIT_TEST_HARMS'] ?? (isRandom ? 25 : isLongTier ? 2 : 1));
const FIRST = Number(process.env['DBKIT_TEST_SEED'] ?? 1);
/** Where each outcome is written down, one JSON object a line. */
const LOG = process.env['DBKIT_TEST_HARM_LOG'];
const HARM_LIMIT_MS = 60_000;

function circumstancesOf(seed: number): Circumstances {
  const draw = (of: number): number => random(seed * 7_919 + of);
  return {
    left: draw(1) < 0.55 ? 'crashed' : 'stopped',
    backups: draw(2) < 0.25 ? 0 : draw(2) < 0.65 ? 1 : 2,
    archive: draw(3) < 0.35,
    state: draw(4) < 0.85 ? 'there' : 'gone',
    checksums: draw(5) < 0.75,
  };
}

/** `npm run test:fault -- --random --all`: a thousand harms. Any harm to any place is mended, or told, or refused with the way out; never silence. */
for (const seed of rounds({ daily: 1, random: 14 }).map((number) => number + FIRST - 1))
  scenario(
    {
      name: `random harm to random places: rows found and losses told are all the rows that were acknowledged (${seed})`,
      section: 'C',
      detectedBefore: false,
      healedBy: 'restore',
      rowsLost: 'never one without a word',
      from: 'template',
      timeoutMs: (HARMS + 2) * HARM_LIMIT_MS,
    },
    async (instance) => {
      const circumstances = circumstancesOf(seed);
      const scene = await makeScene(instance, circumstances);
      const wrong: string[] = [];
      for (let number = 1; number <= HARMS; number += 1) {
        const { words, ...outcome } = await oneHarm(scene, seed * 1_000 + number, number === 1);
        if (LOG)
          appendFileSync(LOG, `${JSON.stringify({ seed, number, major: instance.programs.major, ...circumstances, ...outcome, words })}\n`);
        if (outcome.end === 'wrong') wrong.push(`harm ${number}: ${JSON.stringify(outcome.harms)}\n${outcome.why}\n${words}`);
      }
      expect(wrong, `PostgreSQL ${instance.programs.major}, seed ${seed}, ${JSON.stringify(circumstances)}`).toEqual([]);
    },
  );
