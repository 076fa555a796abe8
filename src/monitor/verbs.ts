/** The verbs of the monitor, as commands know them; loaded with the first that is asked for. */
export { monitor, monitorOnce } from './loop.ts';
export { pauseMonitor, reportMonitor, resumeMonitor } from './pause.ts';
