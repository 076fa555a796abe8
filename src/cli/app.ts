import type { SecretPlace } from '../alerts/channel.ts';
import type { TakeBackupInput } from '../backups/take-backup.ts';
import type { Parts } from './parts.ts';

/** dbkit as a command sees it: one façade for each noun, with its verbs. */
export type App = ReturnType<typeof createApp>;

/** Hands each verb the parts that it names. A command asks for one or two: what they are made of is loaded with the call. */
export function createApp(parts: Parts) {
  const on: On =
    (load, pick) =>
    async (...rest) =>
      pick(await load())(parts, ...rest);
  const { config, clock, log, inspect, salvage, upkeep, copies, offsite, keptWal, sdNotify, gameDays } = parts;
  return {
    config,
    clock,
    log,
    sdNotify,
    inspect,
    salvage,
    upkeep,
    upgrade: on(loadUpgradeData, ({ upgradeData }) => upgradeData),
    backups: backupVerbs(on),
    ...deskVerbs(parts),
    offsite,
    keys: {
      create: async (file: string) => (await import('../store/keys.ts')).createKey(file, clock.now()),
      check: async (identity: SecretPlace | undefined) => (await backups()).checkKeys({ config, reveal: parts.alerts.reveal }, identity),
    },
    wal: keptWal,
    sql: { open: on(sql, ({ openSql }) => openSql), psql: on(sql, ({ runPsql }) => runPsql) },
    restore: { ...restoreVerbs(on), copies, gameDays },
    moments: {
      timeline: on(restore, ({ readTimeline }) => readTimeline),
      name: on(restore, ({ makeRestorePoint }) => makeRestorePoint),
    },
    recovery: recoveryVerbs(on),
    health: {
      check: on(health, ({ checkInTurn }) => checkInTurn),
      wait: on(health, ({ awaitInTurn }) => awaitInTurn),
      beforeCommit: on(hooks, ({ checkBeforeCommit }) => checkBeforeCommit),
    },
    followed: followedVerbs(on),
    hooks: { install: on(hooks, ({ installHook }) => installHook), uninstall: on(hooks, ({ uninstallHook }) => uninstallHook) },
    alerts: {
      setup: on(alerts, ({ setupAlert }) => setupAlert),
      test: on(alerts, ({ testAlerts }) => testAlerts),
      makeSecret: on(alerts, ({ makeAlertSecret }) => makeAlertSecret),
    },
    monitor: monitorVerbs(on),
    cluster: { ...clusterVerbs(on), ...parts.copying },
    incident: incidentVerbs(on),
    supervisor: supervisorVerbs(on),
    homes: homeVerbs(on),
  };
}

type On = <M, A extends readonly unknown[], R>(
  load: () => Promise<M>,
  pick: (verbs: M) => (needs: Parts, ...rest: A) => R | Promise<R>,
) => (...rest: A) => Promise<R>;

const loadUpgradeData = () => import('../supervisor/upgrade-data.ts');
const loadStartBackup = () => import('../supervisor/start-backup.ts');
const loadRecoverInstance = () => import('../supervisor/recover-instance.ts');
const loadReplaceData = () => import('../supervisor/replace-data.ts');
const loadMonitorPages = () => import('./monitor-pages.ts');
const loadEntrypoint = () => import('../supervisor/entrypoint.ts');
const loadTakeDown = () => import('../supervisor/take-down.ts');
const loadRestartServices = () => import('../supervisor/restart-services.ts');
const loadReportStatus = () => import('../supervisor/report-status.ts');
const loadDoctor = () => import('../supervisor/doctor/doctor.ts');
const loadWaitReady = () => import('../supervisor/wait-ready.ts');
const loadListServices = () => import('../supervisor/list-services.ts');
const sql = () => import('../instance/sql.ts');
const health = () => import('../health/check.ts');
const hooks = () => import('../health/hooks/verbs.ts');
const alerts = () => import('../alerts/verbs.ts');

const backups = () => import('../backups/verbs.ts');
const backupVerbs = (on: On) => ({
  take: on(
    backups,
    ({ tellBackup, takeBackup }) =>
      (needs, input: TakeBackupInput, signal: AbortSignal) =>
        tellBackup(needs, signal, () => takeBackup(needs, input, signal)),
  ),
  begin: on(loadStartBackup, ({ startBackup }) => startBackup),
  list: on(backups, ({ listBackups }) => listBackups),
  show: on(backups, ({ showBackup }) => showBackup),
  find: on(backups, ({ findBackup }) => findBackup),
  verify: on(backups, ({ verifyBackups }) => verifyBackups),
  pin: on(backups, ({ pinBackup }) => pinBackup),
  expire: on(backups, ({ expireBackups }) => expireBackups),
  load: async (...given: Parameters<typeof import('../backups/load-dump.ts').loadDump>) => (await backups()).loadDump(...given),
  survey: on(backups, ({ surveyCopies }) => surveyCopies),
});

const recovery = () => import('../recovery/verbs.ts');
const recoveryVerbs = (on: On) => ({
  recover: on(loadRecoverInstance, ({ recoverInstance }) => recoverInstance),
  accept: on(recovery, ({ acceptDamage }) => acceptDamage),
  history: on(recovery, ({ listRecoveries }) => listRecoveries),
  show: on(recovery, ({ showRecovery }) => showRecovery),
  incident: on(recovery, ({ reportIncident }) => reportIncident),
});

/** Databases of a person at work, each by itself. */
const deskVerbs = ({ snapshots, pulls, seeds, serverOf, project }: Parts) => ({
  snapshots,
  pulls,
  seeds,
  serverOf,
  writeProject: (...given: Parameters<Parts['project']['write']>) => project.write(...given),
});

const restore = () => import('../restore/verbs.ts');
const restoreVerbs = (on: On) => ({
  replace: on(loadReplaceData, ({ replaceData }) => replaceData),
  point: on(restore, ({ readPoint }) => readPoint),
  pointBackup: on(restore, ({ pointBackup }) => pointBackup),
  serving: on(restore, ({ servingBackups }) => servingBackups),
  open: on(restore, ({ openBackup }) => openBackup),
});

const homes = () => import('../homes/verbs.ts');
const homeVerbs = (on: On) => ({
  adopt: on(homes, ({ adopt }) => adopt),
  initDevcontainer: on(homes, ({ initDevcontainer }) => initDevcontainer),
  composeFilesOf: on(homes, ({ composeFilesOf }) => composeFilesOf),
  findComposeServers: on(homes, ({ findComposeServers }) => findComposeServers),
  initCompose: on(homes, ({ initCompose }) => initCompose),
  renderManifests: on(homes, ({ renderManifests }) => renderManifests),
  installUnits: on(homes, ({ installUnits }) => installUnits),
  printUnits: on(homes, ({ printUnits }) => printUnits),
  uninstallUnits: on(homes, ({ uninstallUnits }) => uninstallUnits),
});

const followedVerbs = (on: On) => ({
  on: on(homes, ({ followBranches }) => followBranches),
  off: on(homes, ({ unfollowBranches }) => unfollowBranches),
  judge: on(homes, ({ judgeCheckout }) => judgeCheckout),
});

const incident = () => import('../incident/verbs.ts');
const incidentVerbs = (on: On) => ({
  runbook: on(incident, ({ aboutCluster, openRunbook }) => aboutCluster(openRunbook)),
  runbooks: on(incident, ({ aboutCluster, listRunbooks }) => aboutCluster(listRunbooks)),
  story: on(incident, ({ aboutCluster, storyReport }) => aboutCluster(storyReport)),
  stories: on(incident, ({ aboutCluster, listStories }) => aboutCluster(listStories)),
});

const cluster = () => import('../cluster/verbs.ts');
const clusterVerbs = (on: On) => ({
  status: on(cluster, ({ aboutCluster, reportCluster }) => aboutCluster(reportCluster)),
  check: on(cluster, ({ aboutCluster, checkCluster }) => aboutCluster(checkCluster)),
  whyNot: on(cluster, ({ aboutCluster, whyNot }) => aboutCluster(whyNot)),
  history: on(cluster, ({ aboutCluster, clusterHistory }) => aboutCluster(clusterHistory)),
  switchover: on(cluster, ({ aboutCluster, switchover }) => aboutCluster(switchover)),
  planSwitchover: on(cluster, ({ aboutCluster, planSwitchover }) => aboutCluster(planSwitchover)),
  cancelSwitchover: on(cluster, ({ aboutCluster, cancelSwitchover }) => aboutCluster(cancelSwitchover)),
  failover: on(cluster, ({ aboutCluster, failover }) => aboutCluster(failover)),
  rejoin: on(cluster, ({ aboutCluster, rejoin }) => aboutCluster(rejoin)),
  reinit: on(cluster, ({ aboutCluster, reinit }) => aboutCluster(reinit)),
  setPaused: on(cluster, ({ aboutCluster, setPaused }) => aboutCluster(setPaused)),
  lint: on(cluster, ({ lintFiles }) => lintFiles),
  render: on(cluster, ({ renderCluster }) => renderCluster),
  upLocal: on(cluster, ({ upLocal }) => upLocal),
  downLocal: on(cluster, ({ downLocal }) => downLocal),
  drill: on(cluster, ({ runDrill }) => runDrill),
  drillHere: on(cluster, ({ aboutCluster, drillHere }) => aboutCluster(drillHere)),
  trials: on(cluster, ({ reportTrials }) => reportTrials),
  drillTurn: on(cluster, ({ drillTurn }) => drillTurn),
});

const monitor = () => import('../monitor/verbs.ts');
const monitorVerbs = (on: On) => ({
  watch: on(monitor, ({ monitor: watch }) => watch),
  once: on(monitor, ({ monitorOnce }) => monitorOnce),
  pause: on(monitor, ({ pauseMonitor }) => pauseMonitor),
  resume: on(monitor, ({ resumeMonitor }) => resumeMonitor),
  report: on(monitor, ({ reportMonitor }) => reportMonitor),
  openPages: on(loadMonitorPages, ({ openPages }) => openPages),
});

const up = () => import('../supervisor/up.ts');
const supervisorVerbs = (on: On) => ({
  entrypoint: on(loadEntrypoint, ({ runEntrypoint }) => runEntrypoint),
  up: on(up, (verbs) => verbs.up),
  upDetached: on(up, ({ upDetached }) => upDetached),
  down: on(loadTakeDown, ({ takeDown }) => takeDown),
  restart: on(loadRestartServices, ({ restartServices }) => restartServices),
  status: on(loadReportStatus, ({ reportStatus }) => reportStatus),
  doctor: on(loadDoctor, ({ examineTonight }) => examineTonight),
  waitReady: on(loadWaitReady, ({ waitReady }) => waitReady),
  services: on(loadListServices, ({ listServices }) => listServices),
});
