/** The verbs of moments and copies, as commands know them; loaded with the first that is asked for. */
export { makeRestorePoint } from './make-restore-point.ts';
export { openBackup } from './open-backup.ts';
export { pointBackup, servingBackups } from './point-backup.ts';
export { readPoint } from './read-point.ts';
export { readTimeline } from './read-timeline.ts';
