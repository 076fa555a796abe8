import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { misplacedPage } from '../formats/btree.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { errnoOf, unlessMissing } from '../kernel/errors.ts';
import type { Finding } from './findings.ts';
import { isCatalogFile, RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

/**
 * Indexes of catalogs with a page in another's place: why a session asked and never came back. Of a server that was shut down, as only then all pages of a
 * file are of one moment. `homes`: 'global', 'base/16384'; undefined: every one.
 */
export function inspectMisplacedPages(
  dataDir: string,
  { entries }: Walk,
  { blockSizeBytes, blocksPerSegment }: Pick<ControlFile, 'blockSizeBytes' | 'blocksPerSegment'>,
  homes: readonly string[] | undefined,
): Finding[] {
  const isAsked = (path: string): boolean => homes === undefined || homes.some((home) => path.startsWith(`${home}/`));
  return [...entries.values()].flatMap(({ path, kind, sizeBytes }): Finding[] => {
    if (kind !== 'file' || !isAsked(path) || !isCatalogFile(path)) return [];
    const [, , fork, segment] = RELATION.exec(path) ?? [];
    if (fork !== undefined || segment !== undefined || sizeBytes >= blockSizeBytes * blocksPerSegment) return []; // No catalog's index comes to a second segment.
    const block = misplacedIn(join(dataDir, path), blockSizeBytes);
    if (block === undefined) return [];
    return [{ code: 'catalog-index.damaged', path, evidence: `page ${block} is in another’s place`, severity: 'certain' }];
  });
}

function misplacedIn(file: string, blockSizeBytes: number): number | undefined {
  try {
    const fd = openSync(file, 'r');
    try {
      const blocks = Math.floor(fstatSync(fd).size / blockSizeBytes);
      return misplacedPage((block) => {
        if (block >= blocks) return undefined;
        const page = Buffer.allocUnsafe(blockSizeBytes);
        return readSync(fd, page, 0, blockSizeBytes, block * blockSizeBytes) === blockSizeBytes ? page : undefined;
      });
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    return errnoOf(cause) === 'EIO' ? undefined : unlessMissing(cause); // The server says which page it cannot read.
  }
}
