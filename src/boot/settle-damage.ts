import type { Backups } from '../backups/backup.ts';
import { newestGoodBackup } from '../backups/find-baseline.ts';
import type { Finding } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { type KnownDamage, toFinding, toKnownDamage } from '../inspection/known-damage.ts';
import { forgetProof } from '../inspection/proof-owed.ts';
import type { Local } from '../instance/local.ts';
import { tellDamage } from '../recovery/tell-damage.ts';
import { wayBack } from '../recovery/way-back.ts';
import { memoryOf, type Rechecked } from './recheck.ts';

/**
 * A folder that stood for it was set aside before the start: what became of the file was not judged by that. A damaged index is judged by its pages,
 * once the server is up.
 */
const isOfTheFile = ({ severity, code }: Finding): boolean =>
  severity === 'certain' && code !== 'relation.folder' && code !== 'init-fork.folder' && code !== 'index.damaged';

/** Known damage as the pages themselves show it. */
export const asFound = (damage: KnownDamage): Finding => ({ ...toFinding(damage), severity: 'certain', seenIn: 'pages' });

/** Findings that were certain before the start have been judged then; what the server itself says of a file counts first. */
export function joinComplaints(said: readonly Finding[], rechecked: Rechecked | undefined, { report }: Inspection): readonly Finding[] {
  const judged = new Set([...said.map(({ path }) => path), ...report.findings.filter(isOfTheFile).map(({ path }) => path)]);
  const found = (rechecked?.damage ?? []).map(asFound);
  return [...said, ...found.filter(({ path }) => !judged.has(path))];
}

interface Settling {
  readonly before: Inspection;
  readonly complaints: readonly Finding[];
  readonly rechecked: Rechecked | undefined;
  readonly backups: readonly Backups[];
}

/** Damage that is not there any more is forgotten; the rest stays known until it is mended or a person accepts it. */
export async function settleDamage(local: Local, { before, complaints, rechecked, backups }: Settling, signal: AbortSignal): Promise<void> {
  const { systemIdentifier } = before.report;
  if (systemIdentifier === null || rechecked === undefined) return;
  const served = before.report.findings.filter(isOfTheFile);
  await memoryOf(local).settle(
    systemIdentifier,
    [...rechecked.damage, ...rechecked.waiting],
    new Set([...complaints, ...served].map(({ path }) => path)),
  );
  if (rechecked.isProven) await forgetProof(local.volume.dataDir);
  const open = await memoryOf(local).open(systemIdentifier);
  if (open.length === 0) return;
  const good = await newestGoodBackup(backups, systemIdentifier, signal);
  tellDamage(local.system, open, { code: 'damage.known', begins: 'damaged and not mended', wayBack: (damage) => wayBack(damage, good) });
}

/** The server names it and the files do not show it, so no plan was carried out that would: it stays known as long as the server names it, or until a person accepts it. */
export async function rememberUnproven(
  local: Local,
  { report: { systemIdentifier } }: Inspection,
  complaints: readonly Finding[],
): Promise<void> {
  if (systemIdentifier === null || complaints.length === 0) return;
  const since = local.system.clock.now().toISOString();
  const damage = complaints
    .filter(({ severity }) => severity === 'certain')
    .map((finding) => ({ ...toKnownDamage(finding, since), severity: 'suspect' as const }));
  await memoryOf(local).remember(systemIdentifier, damage);
}
