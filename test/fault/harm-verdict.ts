import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLsn } from '../../src/formats/wal-segment.ts';
import type { KnownDamage } from '../../src/inspection/known-damage.ts';
import type { Loss } from '../../src/recovery/losses.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';
import type { Instance } from '../harness/instance.ts';
import type { Place, Scene } from './harm-scene.ts';
import type { Gap } from './harm-witness.ts';

/** Everything that dbkit has said is lost or damaged. */
export interface Told {
  readonly losses: readonly Loss[];
  readonly damage: readonly Pick<KnownDamage, 'path' | 'blocks' | 'severity'>[];
  readonly decisions: readonly string[];
}

const namesOf = (directory: string): Promise<string[]> => readdir(directory).catch(() => [] as string[]);

/** The reports that were there already say nothing of this harm. */
export const reportsOf = ({ stateDir }: Instance): Promise<string[]> => namesOf(join(stateDir, 'recoveries'));

export async function whatWasTold({ stateDir, dataDir }: Instance, earlier: readonly string[]): Promise<Told> {
  const names = (await namesOf(join(stateDir, 'recoveries'))).filter((name) => !earlier.includes(name));
  const reports: RecoveryReport[] = [];
  for (const name of names) reports.push(JSON.parse(await readFile(join(stateDir, 'recoveries', name), 'utf8')) as RecoveryReport);
  const damage: KnownDamage[] = [];
  for (const place of [join(stateDir, 'damage.json'), join(dataDir, '.dbkit', 'damage.json')]) {
    const text = await readFile(place, 'utf8').catch(() => '{}');
    damage.push(...((JSON.parse(text) as { entries?: KnownDamage[] }).entries ?? []));
  }
  return {
    losses: reports.flatMap(({ losses }) => losses),
    damage: damage.filter(({ severity }) => severity === 'certain'),
    decisions: reports.map(({ decision }) => decision),
  };
}

/** The gaps that nothing of what was told explains: rows that were lost without a word. */
export const untold = (scene: Scene, gaps: readonly Gap[], told: Told): Gap[] => gaps.filter((gap) => !isTold(scene, gap, gaps, told));

function isTold(scene: Scene, gap: Gap, gaps: readonly Gap[], { losses, damage }: Told): boolean {
  if (losses.some((loss) => explainsAll(scene, gap, loss))) return true;
  const pieces = [
    ...losses.flatMap((loss) => ('path' in loss ? [{ path: loss.path, blocks: 'blocks' in loss ? loss.blocks : undefined }] : [])),
    ...damage,
  ];
  if (pieces.some(({ path }) => isShared(path) || isOfDatabase(scene, gap, path))) return true;
  const place = scene.places[`${gap.database}.${gap.table}`];
  if (place === undefined) return false;
  if (pieces.some(({ path }) => place.others.includes(path.replace(/\.\d+$/, '')))) return true;
  const own = pieces.filter(({ path }) => path === place.path);
  if (own.some(({ blocks }) => blocks === undefined || blocks.length === 0)) return true;
  const blocks = own.flatMap((piece) => piece.blocks ?? []);
  const unexplained = gaps.filter((one) => !losses.some((loss) => explainsAll(scene, one, loss)));
  return own.length > 0 && lostIn(gap, unexplained) <= heldBy(losses.some(isAnEnd) ? ofAnotherMoment(place, blocks) : place, blocks);
}

/** Then the data is that of an earlier moment, and a block held other rows than at the end, though no more than the fullest. */
const isAnEnd = ({ kind }: Loss): boolean => kind === 'window' || kind === 'since-backup';
const ofAnotherMoment = ({ rowsByBlock }: Place, blocks: readonly number[]): Pick<Place, 'rowsByBlock'> => {
  const most = Math.max(0, ...Object.values(rowsByBlock));
  return { rowsByBlock: Object.fromEntries(blocks.map((block) => [block, most])) };
};

/** Of one table, over all phases. */
const lostIn = ({ what }: Gap, gaps: readonly Gap[]): number =>
  gaps.filter((one) => one.what === what).reduce((sum, { rows }) => sum + Math.abs(rows), 0);
const heldBy = ({ rowsByBlock }: Pick<Place, 'rowsByBlock'>, blocks: readonly number[]): number =>
  [...new Set(blocks)].reduce((sum, block) => sum + (rowsByBlock[block] ?? 0), 0);

/** Transaction status, the shared catalogs and the prepared transactions concern every table. */
const isShared = (path: string): boolean => /^(global|pg_xact|pg_multixact|pg_twophase|pg_tblspc$)/.test(path);

/** The folder of its database, or something of the catalogs in it. */
function isOfDatabase({ databases, places }: Scene, { database }: Gap, path: string): boolean {
  const home = databases[database];
  if (home === undefined || (path !== home && !path.startsWith(`${home}/`))) return path === 'base';
  const isOfATable = Object.values(places).some((place) => place.path === path || place.others.includes(path));
  return path === home || (!isOfATable && Number(/\/(\d+)/.exec(path.slice(home.length))?.[1] ?? 0) < 16_384);
}

/** A loss that is a moment: it explains what was committed after it, and rows that are back because they were removed in any phase after it. */
function explainsAll({ moments }: Scene, { phase, rows }: Gap, loss: Loss): boolean {
  const { lsn, at } = moments[rows < 0 ? moments.length - 1 : phase]!;
  if (loss.kind === 'cluster' || loss.kind === 'unknown') return true;
  if (loss.kind === 'since-backup') return new Date(loss.at) <= at;
  if (loss.kind !== 'window') return false;
  if (loss.afterLsn !== null) return parseLsn(loss.afterLsn) <= lsn;
  return loss.after !== null && new Date(loss.after) <= at;
}
