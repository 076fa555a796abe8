/** The verbs of backups, as commands know them; loaded with the first that is asked for. */
export { expireBackups } from './expire-backups.ts';
export { findBackup } from './find-backup.ts';
export { listBackups } from './list-backups.ts';
export { loadDump } from './load-dump.ts';
export { checkKeys } from './offsite/check-keys.ts';
export { surveyCopies } from './offsite/survey.ts';
export { pinBackup } from './pin-backup.ts';
export { showBackup } from './show-backup.ts';
export { takeBackup } from './take-backup.ts';
export { tellBackup } from './tell-backup.ts';
export { verifyBackups } from './verify-backups.ts';
