import { type Html, html } from './html.ts';

export interface Line {
  /** Named for whoever does not see it. */
  readonly title: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Oldest first; a null value interrupts the line. */
  readonly points: readonly { readonly atMs: number; readonly value: number | null; readonly isBad: boolean }[];
  /** The top of the scale: at least this much, and more when a value needs it. */
  readonly scale: number;
  format(value: number): string;
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [600, 140, 48, 18, 8];
const DAY_MS = 86_400_000;

/** A line over days, as inline SVG: colours come from the page's style, so that it follows light and dark. */
export function lineChart({ title, fromMs, toMs, points, scale, format }: Line): Html {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const top = Math.max(scale, ...values);
  const x = (atMs: number): number => round(LEFT + ((atMs - fromMs) / (toMs - fromMs)) * (WIDTH - LEFT - 4));
  const y = (value: number): number => round(HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP));
  const paths: string[] = [];
  let pen = 'M';
  for (const { atMs, value } of points) {
    if (value === null) pen = 'M';
    else {
      paths.push(`${pen}${x(atMs)} ${y(value)}`);
      pen = 'L';
    }
  }
  const summary = values.length === 0 ? 'nothing measured yet' : `now ${format(values.at(-1)!)}, at most ${format(Math.max(...values))}`;
  return html`<figure><figcaption>${title} <span class="dim">${summary}</span></figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}: ${summary}">
${[0, top / 2, top].map((value) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH}" y1="${y(value)}" y2="${y(value)}"/><text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${format(value)}</text>`)}
${ticks(fromMs, toMs).map((atMs) => html`<line class="grid" x1="${x(atMs)}" x2="${x(atMs)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text x="${x(atMs)}" y="${HEIGHT - 4}" text-anchor="middle">${nameOf(atMs)}</text>`)}
${points.filter(({ isBad }) => isBad).map(({ atMs }) => html`<line class="bad" x1="${x(atMs)}" x2="${x(atMs)}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM + 6}"/>`)}
<path class="line" d="${paths.join('')}"/>
${points
  .flatMap(({ atMs, value }) => (value === null ? [] : [{ atMs, value }]))
  .slice(-1)
  .map(({ atMs, value }) => html`<circle class="now" cx="${x(atMs)}" cy="${y(value)}" r="3"/>`)}
</svg></figure>`;
}

export interface Mark {
  readonly atMs: number;
  readonly look: 'ok' | 'warning' | 'critical';
  readonly label: string;
}

/** Moments on a line: one mark each, with its words for the pointer and for whoever does not see it. */
export function timeLine(title: string, { fromMs, toMs }: { fromMs: number; toMs: number }, marks: readonly Mark[]): Html {
  const x = (atMs: number): number => round(12 + ((Math.max(atMs, fromMs) - fromMs) / Math.max(1, toMs - fromMs)) * (WIDTH - 24));
  const shape = { ok: '●', warning: '◐', critical: '✕' };
  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${WIDTH} 48" role="img" aria-label="${title}: ${marks.map(({ label }) => label).join('; ') || 'none'}">
<line class="grid" x1="8" x2="${WIDTH - 8}" y1="18" y2="18"/>
${ticks(fromMs, toMs).map((atMs) => html`<text x="${x(atMs)}" y="42" text-anchor="middle">${nameOf(atMs)}</text>`)}
${marks.map(({ atMs, look, label }) => html`<text class="${look}" x="${x(atMs)}" y="23" text-anchor="middle"><title>${label}</title>${shape[look]}</text>`)}
</svg></figure>`;
}

const STEPS_MS = [
  5 * 60_000,
  15 * 60_000,
  3_600_000,
  3 * 3_600_000,
  6 * 3_600_000,
  DAY_MS,
  2 * DAY_MS,
  7 * DAY_MS,
  28 * DAY_MS,
  364 * DAY_MS,
];

/** Round moments (UTC) within a span, eight at most. */
function ticks(fromMs: number, toMs: number): number[] {
  const step = STEPS_MS.find((one) => (toMs - fromMs) / one <= 8) ?? toMs - fromMs;
  const all: number[] = [];
  for (let at = Math.ceil(fromMs / step) * step; at < toMs; at += step) all.push(at);
  return all;
}
/** '11-21' at midnight, else '14:30'. */
const nameOf = (atMs: number): string =>
  new Date(atMs).toISOString().slice(...(atMs % DAY_MS === 0 ? ([5, 10] as const) : ([11, 16] as const)));
const round = (value: number): number => Math.round(value * 10) / 10;
