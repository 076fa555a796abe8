import type { SecretPlace } from '../alerts/channel.ts';
import { makeAlertSecret } from '../alerts/make-secret.ts';
import { setupAlert } from '../alerts/setup.ts';
import { testAlerts } from '../alerts/test-channels.ts';
import { expireBackups } from '../backups/expire-backups.ts';
import { findBackup } from '../backups/find-backup.ts';
import { listBackups } from '../backups/list-backups.ts';
import { loadDump } from '../backups/load-dump.ts';
import { checkKeys } from '../backups/offsite/check-keys.ts';
import { surveyCopies } from '../backups/offsite/survey.ts';
import { pinBackup } from '../backups/pin-backup.ts';
import { showBackup } from '../backups/show-backup.ts';
import { type TakeBackupInput, takeBackup } from '../backups/take-backup.ts';
import { tellBackup } from '../backups/tell-backup.ts';
import { verifyBackups } from '../backups/verify-backups.ts';
import { reportTrials } from '../cluster/drill/evidence.ts';
import { runDrill } from '../cluster/drill/run-drill.ts';
import { drillTurn } from '../cluster/drill-turn.ts';
import { failover } from '../cluster/failover.ts';
import { lintFiles } from '../cluster/lint/lint-files.ts';
import { downLocal } from '../cluster/local/down.ts';
import { ownOrLocal } from '../cluster/local/local-state.ts';
import { upLocal } from '../cluster/local/up.ts';
import { setPaused } from '../cluster/pause.ts';
import { cancelSwitchover, planSwitchover } from '../cluster/planned-switchover.ts';
import { reinit, rejoin } from '../cluster/rejoin.ts';
import { renderCluster } from '../cluster/render/render.ts';
import { checkCluster, clusterHistory, reportCluster, whyNot } from '../cluster/report.ts';
import { switchover } from '../cluster/switchover.ts';
import { awaitInTurn, checkInTurn } from '../health/check.ts';
import { checkBeforeCommit } from '../health/hooks/check.ts';
import { installHook, uninstallHook } from '../health/hooks/install.ts';
import { adopt } from '../homes/adopt/adopt.ts';
import { composeFilesOf, findComposeServers, initCompose } from '../homes/compose/init-compose.ts';
import { initDevcontainer } from '../homes/devcontainer/init.ts';
import { followBranches, judgeCheckout, unfollowBranches } from '../homes/git/follow-branches.ts';
import { renderManifests } from '../homes/kubernetes/render-manifests.ts';
import { installUnits, printUnits, uninstallUnits } from '../homes/systemd/install.ts';
import { listRunbooks, openRunbook } from '../incident/open-runbook.ts';
import { listStories, storyReport } from '../incident/report-incident.ts';
import { openSql, runPsql } from '../instance/sql.ts';
import { monitor, monitorOnce } from '../monitor/loop.ts';
import { pauseMonitor, reportMonitor, resumeMonitor } from '../monitor/pause.ts';
import { acceptDamage } from '../recovery/accept-damage.ts';
import { reportIncident } from '../recovery/incident-report.ts';
import { listRecoveries, showRecovery } from '../recovery/list-history.ts';
import { makeRestorePoint } from '../restore/make-restore-point.ts';
import { openBackup } from '../restore/open-backup.ts';
import { pointBackup, servingBackups } from '../restore/point-backup.ts';
import { readPoint } from '../restore/read-point.ts';
import { readTimeline } from '../restore/read-timeline.ts';
import { createKey } from '../store/keys.ts';
import { examineTonight } from '../supervisor/doctor/doctor.ts';
import { runEntrypoint } from '../supervisor/entrypoint.ts';
import { listServices } from '../supervisor/list-services.ts';
import { recoverInstance } from '../supervisor/recover-instance.ts';
import { replaceData } from '../supervisor/replace-data.ts';
import { reportStatus } from '../supervisor/report-status.ts';
import { restartServices } from '../supervisor/restart-services.ts';
import { startBackup } from '../supervisor/start-backup.ts';
import { takeDown } from '../supervisor/take-down.ts';
import { up, upDetached } from '../supervisor/up.ts';
import { upgradeData } from '../supervisor/upgrade-data.ts';
import { waitReady } from '../supervisor/wait-ready.ts';
import { openPages } from './monitor-pages.ts';
import type { Parts } from './parts.ts';

/** dbkit as a command sees it: one façade for each noun, with its verbs. */
export type App = ReturnType<typeof createApp>;

/** Hands each verb the parts that it names. */
export function createApp(parts: Parts) {
  const on: On =
    (verb) =>
    (...rest) =>
      verb(parts, ...rest);
  const { config, clock, log, inspect, salvage, upkeep, copies, offsite, keptWal, sdNotify, gameDays } = parts;
  return {
    config,
    clock,
    log,
    sdNotify,
    inspect,
    salvage,
    upkeep,
    upgrade: on(upgradeData),
    backups: {
      take: (input: TakeBackupInput, signal: AbortSignal) => tellBackup(parts, signal, () => takeBackup(parts, input, signal)),
      begin: on(startBackup),
      list: on(listBackups),
      show: on(showBackup),
      find: on(findBackup),
      verify: on(verifyBackups),
      pin: on(pinBackup),
      expire: on(expireBackups),
      load: loadDump,
      survey: on(surveyCopies),
    },
    ...deskVerbs(parts),
    offsite,
    keys: {
      create: (file: string) => createKey(file, clock.now()),
      check: (identity: SecretPlace | undefined) => checkKeys({ config, reveal: parts.alerts.reveal }, identity),
    },
    wal: keptWal,
    sql: { open: on(openSql), psql: on(runPsql) },
    restore: { ...restoreVerbs(on, copies), gameDays },
    moments: { timeline: on(readTimeline), name: on(makeRestorePoint) },
    recovery: recoveryVerbs(on),
    health: { check: on(checkInTurn), wait: on(awaitInTurn), beforeCommit: on(checkBeforeCommit) },
    followed: { on: on(followBranches), off: on(unfollowBranches), judge: on(judgeCheckout) },
    hooks: { install: on(installHook), uninstall: on(uninstallHook) },
    alerts: { setup: on(setupAlert), test: on(testAlerts), makeSecret: on(makeAlertSecret) },
    monitor: monitorVerbs(on),
    cluster: { ...clusterVerbs(on), ...parts.copying },
    incident: incidentVerbs(on),
    supervisor: {
      entrypoint: on(runEntrypoint),
      up: on(up),
      upDetached: on(upDetached),
      down: on(takeDown),
      restart: on(restartServices),
      status: on(reportStatus),
      doctor: on(examineTonight),
      waitReady: on(waitReady),
      services: on(listServices),
    },
    homes: homeVerbs(on),
  };
}

type On = <A extends readonly unknown[], R>(verb: (needs: Parts, ...rest: A) => R) => (...rest: A) => R;

const recoveryVerbs = (on: On) => ({
  recover: on(recoverInstance),
  accept: on(acceptDamage),
  history: on(listRecoveries),
  show: on(showRecovery),
  incident: on(reportIncident),
});

/** Databases of a person at work, each by itself. */
const deskVerbs = ({ snapshots, pulls, seeds, serverOf, project }: Parts) => ({
  snapshots,
  pulls,
  seeds,
  serverOf,
  writeProject: (...given: Parameters<Parts['project']['write']>) => project.write(...given),
});

const restoreVerbs = (on: On, copies: Parts['copies']) => ({
  replace: on(replaceData),
  point: on(readPoint),
  pointBackup: on(pointBackup),
  serving: on(servingBackups),
  open: on(openBackup),
  copies,
});

const homeVerbs = (on: On) => ({
  adopt: on(adopt),
  initDevcontainer: on(initDevcontainer),
  composeFilesOf: on(composeFilesOf),
  findComposeServers: on(findComposeServers),
  initCompose: on(initCompose),
  renderManifests: on(renderManifests),
  installUnits: on(installUnits),
  printUnits: on(printUnits),
  uninstallUnits: on(uninstallUnits),
});

/** Where no members are named, these are about the cluster of `dbkit ha up --local`. */
const aboutCluster =
  <A extends readonly unknown[], R>(verb: (needs: Parts, ...rest: A) => Promise<R>) =>
  async (needs: Parts, ...rest: A): Promise<R> =>
    verb(await ownOrLocal(needs), ...rest);

const monitorVerbs = (on: On) => ({
  watch: on(monitor),
  once: on(monitorOnce),
  pause: on(pauseMonitor),
  resume: on(resumeMonitor),
  report: on(reportMonitor),
  openPages: on(openPages),
});

const incidentVerbs = (on: On) => ({
  runbook: on(aboutCluster(openRunbook)),
  runbooks: on(aboutCluster(listRunbooks)),
  story: on(aboutCluster(storyReport)),
  stories: on(aboutCluster(listStories)),
});

const clusterVerbs = (on: On) => ({
  status: on(aboutCluster(reportCluster)),
  check: on(aboutCluster(checkCluster)),
  whyNot: on(aboutCluster(whyNot)),
  history: on(aboutCluster(clusterHistory)),
  switchover: on(aboutCluster(switchover)),
  planSwitchover: on(aboutCluster(planSwitchover)),
  cancelSwitchover: on(aboutCluster(cancelSwitchover)),
  failover: on(aboutCluster(failover)),
  rejoin: on(aboutCluster(rejoin)),
  reinit: on(aboutCluster(reinit)),
  setPaused: on(aboutCluster(setPaused)),
  lint: on(lintFiles),
  render: on(renderCluster),
  upLocal: on(upLocal),
  downLocal: on(downLocal),
  drill: on(runDrill),
  trials: on(reportTrials),
  drillTurn: on(drillTurn),
});
