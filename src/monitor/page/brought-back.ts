import { duration, moment, roughly } from '../../kernel/units.ts';
import { type Comeback, comebackOf } from '../comeback.ts';
import type { Picture } from '../overview.ts';
import { type Html, html } from './html.ts';

/** The moments, the copies elsewhere, and the last rehearsal: what a person asks before anything else is broken. */
export function broughtBack({ check }: Picture): Html | null {
  if (!check) return null;
  const { moments, copies, drill } = comebackOf(check.health);
  return html`<section aria-labelledby="comeback"><h2 id="comeback">What can be brought back</h2>
<p>${momentsOf(moments)} <code>dbkit timeline</code> shows every moment and every gap.</p>
<p>${drillOf(drill)}</p>
${copies.length === 0 ? html`<p>Nothing is copied elsewhere: what takes this machine takes the backups too.</p>` : copiesOf(copies)}</section>`;
}

function momentsOf(moments: Comeback['moments']): Html {
  if (moments === null) return html`No moment between backups: no WAL that leads on from one is kept.`;
  const { fromAt, untilAt } = moments;
  return html`Moments from <time datetime="${fromAt}">${moment(fromAt)}</time> until ${untilAt === null ? 'where the kept WAL ends' : html`<time datetime="${untilAt}">${moment(untilAt)}</time>`}.`;
}

function drillOf(drill: Comeback['drill']): Html {
  if (drill === null) return html`No restore was rehearsed yet. Type: <code>dbkit backup drill</code>`;
  const { seconds, limitSeconds, agoSeconds } = drill;
  const look = limitSeconds !== null && seconds > limitSeconds ? 'critical' : 'ok';
  const limit = limitSeconds === null ? '' : `, and the tier allows ${duration(limitSeconds)}`;
  return html`The last rehearsed restore took <span class="${look}">${duration(seconds)}</span>${limit}${agoSeconds === null ? '' : `; ${roughly(agoSeconds)} ago`}.`;
}

const copiesOf = (
  copies: Comeback['copies'],
): Html => html`<div class="wide"><table><thead><tr><th scope="col">Copy</th><th scope="col">Newest backup</th><th scope="col">WAL</th><th scope="col">Trouble</th></tr></thead><tbody>
${copies.map(({ name, label, ageSeconds, backups, walLagSeconds, walLagBytes, key, ...trouble }) => {
  const newest =
    label === null ? 'none that is verified' : `${label}, ${ageSeconds === null ? '' : `${roughly(ageSeconds)} old, `}of ${backups}`;
  const lag = walLagBytes === 0 ? 'nothing is missing' : walLagSeconds == null ? 'with backups' : `${roughly(walLagSeconds)} behind`;
  const words = [trouble.failing, trouble.walFailing, key === 'does-not-open' ? 'no identity opens it' : null].filter(Boolean).join('; ');
  return html`<tr><th scope="row">${name}</th><td>${newest}</td><td>${lag}</td><td class="${words === '' ? 'ok' : 'critical'}">${words === '' ? 'none' : words}</td></tr>
`;
})}</tbody></table></div>`;
