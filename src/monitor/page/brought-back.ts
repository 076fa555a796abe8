import { duration, moment, roughly } from '../../kernel/units.ts';
import { type Comeback, comebackOf } from '../comeback.ts';
import type { Picture } from '../overview.ts';
import { type Html, html } from './html.ts';

/** Base backups and WAL, the copies elsewhere, and the last rehearsal: what a person asks before anything else is broken. */
export function broughtBack({ check }: Picture): Html | null {
  if (!check) return null;
  const { wal, copies, drill } = comebackOf(check.health);
  return html`<section aria-labelledby="comeback"><h2 id="comeback">What can be brought back</h2>
<p>${walOf(wal)} <code>dbkit timeline</code> shows every moment and every gap.</p>
<p>${drillOf(drill)}</p>
${copies === null ? html`<p>The last check does not tell what the copies elsewhere hold.</p>` : copies.length === 0 ? html`<p>Nothing is copied elsewhere: what takes this machine takes the backups too.</p>` : copiesOf(copies)}</section>`;
}

function walOf(wal: Comeback['wal']): Html {
  if ('unknown' in wal) return html`The last check does not tell which moments between backups: ${wal.unknown}.`;
  const { fromAt, untilAt } = wal;
  return html`Base backups from <time datetime="${fromAt}">${moment(fromAt)}</time> on, and the WAL that is kept behind them${untilAt === null ? null : html`, until <time datetime="${untilAt}">${moment(untilAt)}</time>`}.`;
}

function drillOf(drill: Comeback['drill']): Html {
  if (drill === undefined) return html`The last check does not tell whether a restore was rehearsed.`;
  if (drill === null) return html`No restore was rehearsed yet. Type: <code>dbkit backup drill</code>`;
  const { seconds, limitSeconds, agoSeconds } = drill;
  const look = limitSeconds !== null && seconds > limitSeconds ? 'critical' : 'ok';
  const limit = limitSeconds === null ? '' : `, and the tier allows ${duration(limitSeconds)}`;
  return html`The last rehearsed restore took <span class="${look}">${duration(seconds)}</span>${limit}${agoSeconds === null ? '' : `; ${roughly(agoSeconds)} ago`}.`;
}

const copiesOf = (
  copies: NonNullable<Comeback['copies']>,
): Html => html`<div class="wide"><table><thead><tr><th scope="col">Copy</th><th scope="col">Newest backup</th><th scope="col">WAL</th><th scope="col">Trouble</th></tr></thead><tbody>
${copies.map(({ name, label, ageSeconds, backups, walLagSeconds, walLagBytes, key, ...trouble }) => {
  const newest =
    label === null ? 'none that is verified' : `${label}, ${ageSeconds === null ? '' : `${roughly(ageSeconds)} old, `}of ${backups}`;
  const lag = walLagBytes === 0 ? 'nothing is missing' : walLagSeconds == null ? 'with backups' : `${roughly(walLagSeconds)} behind`;
  const words = [trouble.failing, trouble.walFailing, key === 'does-not-open' ? 'no identity opens it' : null].filter(Boolean).join('; ');
  return html`<tr><th scope="row">${name}</th><td>${newest}</td><td>${lag}</td><td class="${words === '' ? 'ok' : 'critical'}">${words === '' ? 'none' : words}</td></tr>
`;
})}</tbody></table></div>`;
