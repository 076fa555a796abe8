/** The verbs of a cluster, as commands know them; loaded with the first that is asked for. */
export { reportTrials } from './drill/evidence.ts';
export { runDrill } from './drill/run-drill.ts';
export { drillHere } from './drill/run-here.ts';
export { drillTurn } from './drill-turn.ts';
export { failover } from './failover.ts';
export { lintFiles } from './lint/lint-files.ts';
export { downLocal } from './local/down.ts';
export { aboutCluster } from './local/local-state.ts';
export { upLocal } from './local/up.ts';
export { setPaused } from './pause.ts';
export { cancelSwitchover, planSwitchover } from './planned-switchover.ts';
export { reinit, rejoin } from './rejoin.ts';
export { renderCluster } from './render/render.ts';
export { checkCluster, clusterHistory, reportCluster, whyNot } from './report.ts';
export { switchover } from './switchover.ts';
