/** Text that is markup already. */
export interface Html {
  readonly markup: string;
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character]!);

type Part = string | number | Html | null | undefined | readonly Part[];

const render = (part: Part): string => {
  if (part === null || part === undefined) return '';
  if (Array.isArray(part)) return part.map(render).join('');
  return typeof part === 'object' ? (part as Html).markup : escaped(String(part));
};

/** Markup with values in it, each escaped unless it is markup itself: what a database or a person wrote is never taken for tags. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html => ({
  markup: strings.map((text, index) => (index === 0 ? text : render(parts[index - 1]) + text)).join(''),
});
