import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { misplacedPage } from '../formats/btree.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { errnoOf, unlessMissing } from '../kernel/errors.ts';
import type { Finding } from './findings.ts';
import { isCatalogFile, RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

/** No index of a catalog is as large where a start is to be quick. */
const SIZE_MAX_BYTES = 16 * 1024 * 1024;

/**
 * Indexes of catalogs with a page that belongs elsewhere. Without checksums, which hold a page's number, nothing else tells it before a session asks that
 * index and never comes back. Only files that were written to since pg_control, the last file of each checkpoint and each stop: few, whatever there is. Not for
 * a cluster that recovers from an archive or follows another: no single-user server may write to it, and its pages are of several moments.
 */
export function inspectMisplacedPages(
  dataDir: string,
  { entries }: Walk,
  { checksums, blockSizeBytes }: Pick<ControlFile, 'checksums' | 'blockSizeBytes'>,
  signal: AbortSignal,
): Finding[] {
  const controlMs = entries.get('global/pg_control')?.mtimeMs;
  if (checksums || controlMs === undefined) return [];
  return [...entries.values()].flatMap(({ path, kind, sizeBytes, mtimeMs }): Finding[] => {
    if (kind !== 'file' || mtimeMs < controlMs || sizeBytes < 2 * blockSizeBytes || sizeBytes > SIZE_MAX_BYTES) return [];
    const [, , fork, segment] = RELATION.exec(path) ?? [];
    if (!isCatalogFile(path) || path.startsWith('pg_tblspc/') || fork !== undefined || segment !== undefined) return [];
    signal.throwIfAborted();
    const index = read(join(dataDir, path));
    const block = index && misplacedPage(index, blockSizeBytes);
    if (block === undefined) return [];
    return [{ code: 'catalog-index.damaged', path, evidence: `page ${block} is one that belongs elsewhere`, severity: 'certain' }];
  });
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (cause) {
    return errnoOf(cause) === 'EIO' ? undefined : unlessMissing(cause); // The server says which page it cannot read, and needs.
  }
}
