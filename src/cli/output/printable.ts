/** Control characters, and those by which a line of text is shown in another order than it is written (Unicode TR36). */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** Colours as dbkit sets them: nothing that moves the cursor, hides text or names the window. */
const STYLE = /\u001b\[(?:[0-27]|2[12479]|3[0-79]|4[0-79]|9[0-7]|10[0-7])m/g;

const visible = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

/** Names and messages of others, as text that a terminal only shows: line breaks stay, what would steer it is written out. */
export const printable = (text: string): string => text.replace(CONTROL, visible);

/** The same for a view that dbkit has coloured itself. */
export function printableView(text: string): string {
  let end = 0;
  const parts: string[] = [];
  for (const match of text.matchAll(STYLE)) {
    parts.push(printable(text.slice(end, match.index)), match[0]);
    end = match.index + match[0].length;
  }
  return [...parts, printable(text.slice(end))].join('');
}
