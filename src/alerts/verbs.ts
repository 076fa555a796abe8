/** The verbs of alert channels, as commands know them; loaded with the first that is asked for. */
export { makeAlertSecret } from './make-secret.ts';
export { setupAlert } from './setup.ts';
export { testAlerts } from './test-channels.ts';
