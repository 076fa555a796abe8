import { createHash } from 'node:crypto';
import type { Backup } from '../../backups/backup.ts';
import type { ProbeReport } from '../../health/health.ts';
import { bytes, duration, moment } from '../../kernel/units.ts';
import { howMuch } from '../../recovery/losses.ts';
import type { RecoveryReport } from '../../recovery/report.ts';
import type { Picture } from '../overview.ts';
import { broughtBack } from './brought-back.ts';
import { lineChart, type Mark, timeLine } from './chart.ts';
import { type Html, html } from './html.ts';
import { STYLE } from './style.ts';

const DAY_MS = 86_400_000;
const SPAN_MS = 7 * DAY_MS;
const BACKUPS_SHOWN = 10;
const RECOVERIES_SHOWN = 10;

/** The rights of the page, which is nothing: no script, no request, no frame; only its own style sheet, named by its digest. */
export const pagePolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** One page for a person: is it well, since when, what happened last, what can be brought back. Self-contained, and made without the server. */
export function statusPage(picture: Picture): string {
  const { now, host, environment, check } = picture;
  const verdict = verdictOf(picture);
  const place = `${host}${environment === null ? '' : ` (${environment})`}`;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${verdict.word}: ${place} – dbkit</title><style>${{ markup: STYLE }}</style></head>
<body><a class="skip" href="#probes">Skip to the probes</a>
<header class="${verdict.look}"><p>${place}</p><h1>${verdict.word}</h1><p>${verdict.words}</p></header>
<main>
<p class="dim">As of ${moment(now.toISOString())}; <a href="/">ask again</a>. ${check ? `Checked ${ago(now, check.at)}, every ${duration(picture.intervalMs / 1000)}.` : ''}</p>
${check ? probesOf(check.health.probes) : null}
${courseOf(picture)}
${check ? eventsOf(check.events) : null}
${broughtBack(picture)}
${backupsOf(picture)}
${recoveriesOf(picture)}
</main>
<footer class="dim">dbkit ${picture.version} · <a href="/metrics">metrics</a> · <a href="/api/status">JSON</a></footer>
</body></html>
`.markup;
}

const ago = (now: Date, at: string): string => `${duration(Math.max(0, (now.getTime() - Date.parse(at)) / 1000))} ago`;

function verdictOf({ now, check, quietMs, intervalMs }: Picture): { look: 'ok' | 'warning' | 'critical'; word: string; words: string } {
  if (!check) return { look: 'warning', word: 'Not known yet', words: 'The first check is not done yet.' };
  if (quietMs > 5 * intervalMs + 60_000)
    return {
      look: 'critical',
      word: 'Nobody knows',
      words: `The last check was ${duration(quietMs / 1000)} ago: the monitor hangs, or works on a recovery.`,
    };
  const { state, verdict, because, health } = check;
  if (state.gaveUp) return { look: 'critical', word: 'A person must look', words: `${because}. Type: dbkit recover --dry-run.` };
  if (state.pausedUntil !== null && Date.parse(state.pausedUntil) > now.getTime())
    return {
      look: 'warning',
      word: 'Paused',
      words: `Nothing is recovered until ${moment(state.pausedUntil)}. Type: dbkit monitor resume`,
    };
  const first = ['critical', 'unknown', 'warning'].flatMap((status) => health.probes.filter((probe) => probe.status === status))[0];
  const seen = first ? `${first.name}: ${first.summary}` : because;
  if (verdict === 'failed') return { look: 'critical', word: 'Down', words: `${seen}; ${because}.` };
  if (verdict === 'waiting') return { look: 'warning', word: 'Waiting', words: `${because}.` };
  if (health.status !== 'ok')
    return {
      look: health.status === 'warning' ? 'warning' : 'critical',
      word: health.status === 'warning' ? 'Well, with warnings' : 'Not well',
      words: `${seen}.`,
    };
  return {
    look: 'ok',
    word: 'Well',
    words:
      state.wellSince === null
        ? 'Every probe is well.'
        : `Every probe is well, for ${duration((now.getTime() - Date.parse(state.wellSince)) / 1000)}.`,
  };
}

/** Text that stands between backticks is to be typed. */
const typed = (words: string): Html[] =>
  words.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));

const signs = { ok: '✓ ok', warning: '! warning', critical: '✕ critical', unknown: '? unknown', skipped: '– skipped' } as const;

function probesOf(probes: readonly ProbeReport[]): Html {
  const order = ['critical', 'unknown', 'warning', 'ok', 'skipped'] as const;
  const sorted = [...probes].sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status));
  return html`<section aria-labelledby="probes"><h2 id="probes" tabindex="-1">Probes</h2><div class="wide"><table>
<thead><tr><th scope="col">Status</th><th scope="col">Probe</th><th scope="col">What was seen</th></tr></thead><tbody>
${sorted.map(
  ({
    status,
    name,
    title,
    summary,
    hint,
  }) => html`<tr><td class="${status} sign">${signs[status]}</td><th scope="row" title="${title}">${name}</th><td>${summary}${hint !== null && status !== 'ok' && status !== 'skipped' ? html`<br><span class="dim">${typed(hint)}</span>` : null}</td></tr>
`,
)}</tbody></table></div></section>`;
}

function courseOf({ now, samples }: Picture): Html {
  const span = {
    fromMs: Math.max(now.getTime() - SPAN_MS, Math.min(now.getTime() - 3_600_000, ...samples.slice(0, 1).map(({ at }) => Date.parse(at)))),
    toMs: now.getTime(),
  };
  const points = (value: 'latencySeconds' | 'diskPercent' | 'connections') =>
    samples.map((sample) => ({
      atMs: Date.parse(sample.at),
      value: sample[value],
      isBad: sample.status === 'critical' || sample.status === 'unknown',
    }));
  return html`<section aria-labelledby="course"><h2 id="course">The last days</h2>
${lineChart({ title: 'A query takes', ...span, points: points('latencySeconds'), scale: 0.01, format: (seconds) => (seconds < 1 ? `${Math.round(seconds * 10_000) / 10} ms` : `${seconds.toFixed(1)} s`) })}
${lineChart({ title: 'The data’s disk is full to', ...span, points: points('diskPercent'), scale: 100, format: (percent) => `${Math.round(percent)} %` })}
${lineChart({ title: 'Connections', ...span, points: points('connections'), scale: 10, format: (count) => String(Math.round(count)) })}
<p class="dim">A red tick below the line: the server was not well then.</p></section>`;
}

const eventsOf = (
  events: readonly { readonly at: string; readonly what: string }[],
): Html => html`<section aria-labelledby="events"><h2 id="events">What happened last</h2>
${events.length === 0 ? html`<p>Nothing yet.</p>` : html`<ol>${[...events].reverse().map(({ at, what }) => html`<li><time datetime="${at}">${moment(at)}</time> ${what}</li>`)}</ol>`}</section>`;

const looks: Record<Backup['state'], Mark['look']> = { good: 'ok', verified: 'ok', proven: 'ok', damaged: 'critical' };
const proofOf = ({ state, provenAt, verifiedAt }: Backup): string =>
  provenAt
    ? `restored ${moment(provenAt)}`
    : verifiedAt
      ? `read again ${moment(verifiedAt)}`
      : state === 'damaged'
        ? 'its data is damaged'
        : 'none yet';

function backupsOf({ now, backups }: Picture): Html {
  const oldest = Math.min(now.getTime() - DAY_MS, ...backups.map(({ createdAt }) => Date.parse(createdAt)));
  const marks = backups.map(
    (backup): Mark => ({
      atMs: Date.parse(backup.createdAt),
      look: looks[backup.state],
      label: `${backup.label}, ${backup.state}, ${bytes(backup.sizeBytes)}`,
    }),
  );
  return html`<section aria-labelledby="backups"><h2 id="backups">Backups</h2>
${timeLine('When they were taken', { fromMs: oldest, toMs: now.getTime() }, marks)}
${sizesOf(backups, { fromMs: oldest, toMs: now.getTime() })}
${
  backups.length === 0
    ? html`<p>There is none. Type: <code>dbkit backup create</code></p>`
    : html`<div class="wide"><table><thead><tr><th scope="col">Label</th><th scope="col">Taken</th><th scope="col">Size</th><th scope="col">State</th><th scope="col">Proof</th></tr></thead><tbody>
${backups.slice(0, BACKUPS_SHOWN).map(
  (
    backup,
  ) => html`<tr><th scope="row">${backup.label}</th><td>${ago(now, backup.createdAt)}</td><td>${bytes(backup.sizeBytes)}</td><td class="${looks[backup.state]}">${backup.state}${backup.pinned ? ', pinned' : ''}</td><td>${proofOf(backup)}</td></tr>
`,
)}</tbody></table></div>${backups.length > BACKUPS_SHOWN ? html`<p class="dim">and ${backups.length - BACKUPS_SHOWN} older ones</p>` : null}`
}</section>`;
}

/** Of base backups, which each hold the whole; dumps of single databases would make teeth. */
function sizesOf(backups: readonly Backup[], span: { readonly fromMs: number; readonly toMs: number }): Html | null {
  const whole = backups.filter(({ kind }) => kind === 'physical').toReversed();
  if (whole.length < 2) return null;
  const points = whole.map(({ createdAt, sizeBytes, state }) => ({
    atMs: Date.parse(createdAt),
    value: sizeBytes,
    isBad: state === 'damaged',
  }));
  return lineChart({ title: 'Size of a base backup', ...span, points, scale: 1024 ** 2, format: (size) => bytes(Math.round(size)) });
}

const lossOf = {
  nothing: 'nothing lost',
  unknown: html`<strong class="warning">loss not known</strong>`,
  something: html`<strong class="critical">something lost</strong>`,
} as const;

function recoveriesOf({ recoveries }: Picture): Html {
  const took = ({ at, durationMs, readyAt }: RecoveryReport): string =>
    readyAt === undefined
      ? 'the server has not answered after it'
      : `it answered after ${duration((Date.parse(readyAt) - Date.parse(at) + durationMs) / 1000)}`;
  const one = (
    report: RecoveryReport,
  ): Html => html`<details><summary>${moment(report.at)}: ${report.decision}, ${lossOf[howMuch(report.losses)]}</summary>
<p>Because ${report.because}; ${took(report)}.</p><p>Lost: ${report.lost}.${report.quarantine === null ? '' : ` The old bytes are in ${report.quarantine}.`}</p>
${report.findings.length > 0 ? html`<ul>${report.findings.slice(0, 20).map(({ path, evidence }) => html`<li><code>${path}</code>: ${evidence}</li>`)}</ul>` : null}</details>`;
  return html`<section aria-labelledby="recoveries"><h2 id="recoveries">Recoveries</h2>
${recoveries.length === 0 ? html`<p>Nothing had to be recovered here yet.</p>` : recoveries.slice(0, RECOVERIES_SHOWN).map(one)}</section>`;
}
