/** Longer names are cut by the server (NAMEDATALEN - 1, src/include/pg_config_manual.h). */
const NAME_MAX_BYTES = 63;

/** Names that need no quotes (quote_identifier, src/backend/utils/adt/ruleutils.c); of a key word too, where a name is expected. */
const PLAIN = /^[a-z_][a-z0-9_]*$/;

/** A name as a person writes it in SQL: in double quotes where it would be another one without. Pure. */
export const quoted = (name: string): string => (PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/** `["sales", "Orders"]` is `sales."Orders"`. Pure. */
export const writeName = (parts: readonly string[]): string => parts.map(quoted).join('.');

/** src/backend/parser/scan.l: every byte beyond ASCII is a letter. */
const PART = /\s*(?:"((?:[^"]|"")+)"|([A-Za-z_\u{80}-\u{10ffff}][A-Za-z0-9_$\u{80}-\u{10ffff}]*))\s*(\.|$)/uy;

/**
 * The parts of a name as the server takes them: letters of ASCII become small ones unless they stand in quotes, a doubled quote is one, dots in quotes
 * divide nothing, and 63 bytes are kept (downcase_truncate_identifier, src/backend/parser/scansup.c). Undefined for what is no name. Pure.
 */
export function readName(text: string): readonly string[] | undefined {
  const parts: string[] = [];
  for (let at = 0, isOver = false; !isOver; ) {
    PART.lastIndex = at;
    const [whole, inQuotes, bare, end] = PART.exec(text) ?? [];
    if (whole === undefined) return undefined;
    parts.push(cut(inQuotes?.replaceAll('""', '"') ?? bare!.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())));
    at += whole.length;
    isOver = end === '';
  }
  return parts;
}

/** No half of a character is kept. */
function cut(name: string): string {
  if (Buffer.byteLength(name) <= NAME_MAX_BYTES) return name;
  let kept = '';
  for (const character of name) {
    if (Buffer.byteLength(kept + character) > NAME_MAX_BYTES) break;
    kept += character;
  }
  return kept;
}
