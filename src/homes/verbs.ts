/** The verbs of the places that dbkit lives in, as commands know them; loaded with the first that is asked for. */
export { adopt } from './adopt/adopt.ts';
export { composeFilesOf, findComposeServers, initCompose } from './compose/init-compose.ts';
export { initDevcontainer } from './devcontainer/init.ts';
export { followBranches, judgeCheckout, unfollowBranches } from './git/follow-branches.ts';
export { renderManifests } from './kubernetes/render-manifests.ts';
export { installUnits, printUnits, uninstallUnits } from './systemd/install.ts';
