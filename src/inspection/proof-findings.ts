import type { Finding } from './findings.ts';
import type { Proof } from './prove.ts';
import type { Doubt, ProofResult } from './prove-file.ts';
import { FIRST_USER_OID, RELATION } from './relations.ts';

const sentences = {
  unsound: 'fails its checksum or header check',
  zeroed: 'holds zeroes where something was written',
  emptied: 'holds zeroes before a page that is in use',
  behind: 'lacks what the WAL wrote to it last',
  ahead: 'has seen more than the WAL holds',
  differs: 'is not as the backup holds it, and no WAL names it since',
  unnamed: 'was written to, and no WAL names it',
  cut: 'is missing',
} as const satisfies Record<Doubt, string>;

/** Each file with doubtful pages as one finding. */
export const proofFindings = ({ doubtful, against }: Proof, severity: Finding['severity']): Finding[] =>
  doubtful.map((result) => ({
    code: codeOf(result),
    path: result.path,
    evidence: evidenceOf(result, against),
    severity,
    blocks: result.doubts.map(({ block }) => block),
  }));

/** Of long lists the beginning is enough to know them again. */
const BLOCKS_MAX = 1000;

/** Each file with pages that hold zeroes, of which nothing is known. */
export const unknownFindings = ({ unknown }: Pick<Proof, 'unknown'>): Finding[] =>
  unknown.map(({ path, emptied, pages }) => ({
    code: 'page.unknown',
    path,
    evidence: `${emptied.length} of ${pages} pages hold zeroes, and neither a backup nor the WAL says why`,
    severity: 'info',
    blocks: emptied.slice(0, BLOCKS_MAX),
  }));

/** An index is rebuilt whatever is wrong with it. */
function codeOf({ path, kind, doubts, unreadable }: ProofResult): Finding['code'] {
  if (unreadable !== undefined && doubts.length === 0) return 'file.unreadable';
  if (kind === 'index') return Number(RELATION.exec(path)?.[1]) < FIRST_USER_OID ? 'catalog-index.damaged' : 'index.damaged';
  if (doubts.every(({ doubt }) => doubt === 'cut')) return 'relation.truncated';
  return doubts.every(({ doubt }) => doubt === 'unsound') ? 'page.damaged' : 'page.lost';
}

/** '3 of 40 pages are lost: page 37 holds zeroes where something was written; held against data_… and the WAL since'. */
export function evidenceOf({ doubts, pages, unreadable }: ProofResult, against: string | null): string {
  const [first] = doubts;
  if (first === undefined) return unreadable ?? 'it cannot be read';
  const of = doubts.filter(({ doubt }) => doubt === 'cut').length + pages;
  const what = `${doubts.length} of ${of} pages ${doubts.length === 1 ? 'is' : 'are'} lost: page ${first.block} ${sentences[first.doubt]}`;
  return `${what} (held against ${against === null ? 'the WAL that is here' : `${against} and the WAL since`})`;
}
