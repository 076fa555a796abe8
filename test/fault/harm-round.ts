import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { boot, type Running, readStatus } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { type Harm, harmSomething } from './harm-kinds.ts';
import { entriesOf, type Scene } from './harm-scene.ts';
import { reportsOf, type Told, untold, whatWasTold } from './harm-verdict.ts';
import { type Gap, gapsBetween, look } from './harm-witness.ts';
import { random } from './random.ts';
import { quarantined } from './verdict.ts';

/** How one harm ended. */
export interface Outcome {
  readonly harms: readonly Harm[];
  readonly end: 'whole' | 'told' | 'refused' | 'wrong';
  /** What dbkit did wrong, or in what words it refused. */
  readonly why: string;
  readonly decisions: readonly string[];
  readonly words: string;
}

const HARMS_MAX = 3;
const CHANCE_OF_ONE_MORE = 0.25;
/** Refusals of which the words say what a person has to do; anything else that ends a start is wrong. */
const REFUSED = new Set(['65', '73', '77']);

/** Puts the scene back, harms it as the seed says, starts dbkit, and judges by what clients find and by what was told. */
export async function oneHarm(scene: Scene, seed: number, isFirst: boolean): Promise<Outcome> {
  const { instance } = scene;
  let drawn = 0;
  const draw = (): number => {
    drawn += 1;
    return random(seed * 1_000 + drawn);
  };
  if (!isFirst) await scene.putBack();
  const harms = await harm(scene, draw);
  const earlier = await reportsOf(instance);
  const outcome = (end: Outcome['end'], why: string, words: string, told?: Told): Outcome => ({
    harms,
    end,
    why,
    words,
    decisions: told?.decisions ?? [],
  });
  let running: Running;
  try {
    running = await boot(instance, { env: scene.env });
  } catch (cause) {
    const words = String(cause);
    const status = /ended with (\w+)/.exec(words)?.[1] ?? 'no end';
    return outcome(REFUSED.has(status) ? 'refused' : 'wrong', `status ${status}`, words);
  }
  const first = await judge(scene, running, harms, earlier);
  const stopped = await running.stop();
  if (stopped.code !== 0) return outcome('wrong', `stopped with ${stopped.code ?? stopped.signal}`, stopped.stderr);
  if (first.problems.length > 0 || draw() < 0.7)
    return outcome(first.problems.length > 0 ? 'wrong' : first.end, first.problems.join('\n'), stopped.stderr, first.told);
  const again = await boot(instance, { env: scene.env }).catch((cause: unknown) => String(cause));
  if (typeof again === 'string') return outcome('wrong', 'the second start fails', again, first.told);
  const second = await judge(scene, again, harms, earlier);
  const { stderr } = await again.stop();
  const problems = [...second.problems, ...more(first.gaps, second.gaps)];
  return outcome(
    problems.length > 0 ? 'wrong' : second.end,
    problems.map((one) => `second start: ${one}`).join('\n'),
    stopped.stderr + stderr,
    second.told,
  );
}

async function harm(scene: Scene, draw: () => number): Promise<Harm[]> {
  const { instance, older, circumstances } = scene;
  const { root } = instance;
  const harms: Harm[] = [];
  const keepsTimes = circumstances.left === 'crashed' && draw() < 0.2;
  do {
    const entries = await everything(instance);
    harms.push(await harmSomething({ root, entries, older }, { draw, keepsTimes }));
  } while (harms.length < HARMS_MAX && draw() < CHANCE_OF_ONE_MORE);
  return harms;
}

async function everything({ root, dataDir }: Instance): Promise<string[]> {
  const below = async (name: string): Promise<string[]> =>
    (await readdir(join(root, name), { recursive: true }).catch(() => [] as string[])).map((path) => join(name, path));
  const data = (await entriesOf(dataDir)).map((path) => join('data', path));
  return [...data, ...(await below('state')), ...(await below('backups')), ...(await below('space')), 'state', 'space'].sort();
}

interface Judged {
  readonly gaps: readonly Gap[];
  readonly told: Told;
  readonly end: 'whole' | 'told';
  readonly problems: readonly string[];
}

async function judge(scene: Scene, running: Running, harms: readonly Harm[], earlier: readonly string[]): Promise<Judged> {
  const { instance, truth } = scene;
  const gaps = gapsBetween(truth, await look(instance));
  const told = await whatWasTold(instance, earlier);
  const problems = untold(scene, gaps, told).map(wordsOf);
  if (harms.every(({ group }) => group.harmless) && (await quarantined(instance)).length > 0) problems.push('healthy data was replaced');
  if (/bug in dbkit|\n\s+at /.test(running.words())) problems.push('a bug of dbkit');
  if ((await readStatus(instance))?.readyAt === null) problems.push('not ready any more');
  return { gaps, told, end: gaps.length === 0 ? 'whole' : 'told', problems };
}

const wordsOf = ({ what, phase, rows, error }: Gap): string =>
  `${rows} rows of ${what}, phase ${phase}, are not told${error ? ` (${error})` : ''}`;

/** What is gone since the first start. */
const more = (first: readonly Gap[], second: readonly Gap[]): string[] =>
  second
    .filter(({ what, phase, rows }) => rows > (first.find((gap) => gap.what === what && gap.phase === phase)?.rows ?? 0))
    .filter(({ rows }) => rows > 0)
    .map((gap) => `was there: ${wordsOf(gap)}`);
