import { randomInt } from 'node:crypto';
import type { Style } from './style.ts';

/** Control characters, and those by which a line of text is shown in another order than it is written (Unicode TR36). */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const visible = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

/** Names and messages of others, as text that a terminal only shows: line breaks stay, what would steer it is written out. */
export const printable = (text: string): string => text.replace(CONTROL, visible);

/** The same for a view: only the colours that it asks for here come through, told from those in its texts by a number that nobody can guess. */
export function drawn(style: Style, view: (style: Style) => string): string {
  // What measures the cells of a table knows numbers of four digits at most.
  const mark = `\u001b[${[0, 0, 0].map(() => randomInt(1000, 10_000)).join(';')};`;
  const marked = (colour: (text: string) => string): ((text: string) => string) => {
    const [open = '', close = ''] = colour('|').replaceAll('\u001b[', mark).split('|');
    return (text) => `${open}${text}${close}`;
  };
  const { good, bad, warn, dim, strong } = style;
  const text = view({ good: marked(good), bad: marked(bad), warn: marked(warn), dim: marked(dim), strong: marked(strong) });
  return text.split(mark).map(printable).join('\u001b[');
}
