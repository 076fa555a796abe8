/** The verbs of an incident, as commands know them; loaded with the first that is asked for. */
export { aboutCluster } from '../cluster/local/local-state.ts';
export { listRunbooks, openRunbook } from './open-runbook.ts';
export { listStories, storyReport } from './report-incident.ts';
