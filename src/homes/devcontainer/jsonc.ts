import type { Node } from 'jsonc-parser';
import { DbkitError } from '../../kernel/errors.ts';
import type { SettingChange, Settings } from './plan.ts';
import { isSettings } from './plan.ts';

const load = async () => import('jsonc-parser'); // Only `dbkit init` reads JSON that people comment.
type Parser = Awaited<ReturnType<typeof load>>;

/** JSON with comments and trailing commas. Rejects with `config.invalid`, with the line, when it is something else. */
export async function parseJsonc(text: string, name: string): Promise<Settings> {
  const { parse, printParseErrorCode } = await load();
  const errors: Parameters<Parser['parse']>[1] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [mistake] = errors!;
  if (mistake === undefined && isSettings(value)) return value;
  const why = mistake
    ? `line ${text.slice(0, mistake.offset).split('\n').length}: ${printParseErrorCode(mistake.error)}`
    : 'it holds no settings';
  throw new DbkitError('config.invalid', `${name} cannot be read: ${why}`, { hint: 'correct the file; nothing was changed' });
}

/**
 * The same text with these changes, every comment where it was. jsonc-parser's own `modify` takes comments along with what it removes, and puts
 * new items between an item and its comment.
 */
export async function editJsonc(text: string, changes: readonly SettingChange[]): Promise<string> {
  const parser = await load();
  // One after the other, each on a tree of its own: the places of the earlier ones have moved.
  return changes.reduce((before, change) => apply(parser, before, change), text);
}

function apply(parser: Parser, text: string, change: SettingChange): string {
  const root = parser.parseTree(text, [], { allowTrailingComma: true })!;
  const unit = /\n([ \t]+)"/.exec(text)?.[1] ?? '  ';
  const printed = (value: unknown, depth: number): string => JSON.stringify(value, null, unit).replaceAll('\n', `\n${unit.repeat(depth)}`);
  const depth = change.path.length;
  if (change.kind === 'append') {
    const list = parser.findNodeAtLocation(root, [...change.path])!;
    return insert(parser, text, list, printed(change.value, depth + 1), unit.repeat(depth + 1));
  }
  const key = change.path.at(-1)!;
  if (change.kind === 'add') {
    const parent = parser.findNodeAtLocation(root, change.path.slice(0, -1))!;
    return insert(parser, text, parent, `${JSON.stringify(key)}: ${printed(change.value, depth)}`, unit.repeat(depth));
  }
  const property = parser.findNodeAtLocation(root, [...change.path])!.parent!;
  const [name, value] = property.children as [Node, Node];
  const renamed = splice(text, value.offset, value.length, printed(change.value, depth));
  return change.key === undefined ? renamed : splice(renamed, name.offset, name.length, JSON.stringify(change.key));
}

/** A new last member: on a line of its own behind the comments of the one before it, or on the same line where all of them are. */
function insert(parser: Parser, text: string, parent: Node, member: string, indent: string): string {
  const closing = parent.offset + parent.length - 1;
  const last = parent.children?.at(-1);
  const isOneLine = parent.type === 'array' && !text.slice(parent.offset, closing).includes('\n') && !member.includes('\n');
  const comma = last === undefined || isFollowedByComma(parser, text, last) ? '' : ',';
  if (isOneLine) return splice(text, last ? last.offset + last.length : closing, 0, `${last ? ', ' : ''}${member}`);
  const filled = text.slice(0, closing).trimEnd().length;
  const rest = text.slice(filled, closing);
  const outer = indent.slice(0, indent.length - (/\n([ \t]+)"/.exec(text)?.[1] ?? '  ').length);
  const added = splice(
    text,
    filled,
    rest.includes('\n') ? 0 : rest.length,
    `\n${indent}${member}${rest.includes('\n') ? '' : `\n${outer}`}`,
  );
  return last === undefined ? added : splice(added, last.offset + last.length, 0, comma);
}

function isFollowedByComma({ createScanner }: Parser, text: string, { offset, length }: Node): boolean {
  const scanner = createScanner(text, true);
  scanner.setPosition(offset + length);
  scanner.scan();
  return text.slice(scanner.getTokenOffset(), scanner.getTokenOffset() + scanner.getTokenLength()) === ',';
}

const splice = (text: string, offset: number, length: number, put: string): string =>
  text.slice(0, offset) + put + text.slice(offset + length);
