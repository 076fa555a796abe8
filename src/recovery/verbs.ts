/** The verbs of recoveries that are over, as commands know them; loaded with the first that is asked for. */
export { acceptDamage } from './accept-damage.ts';
export { reportIncident } from './incident-report.ts';
export { listRecoveries, showRecovery } from './list-history.ts';
