import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseControlFile } from '../../formats/control-file.ts';
import { clusterEntries } from '../../instance/volume.ts';
import { DbkitError, unlessMissing, wordsOf } from '../../kernel/errors.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { readPlain } from '../../machine/plain-file.ts';
import { readPatroni } from '../answers.ts';
import { membersOf } from '../members.ts';
import { createPatroni } from '../patroni.ts';
import { lives, signalTo } from '../processes.ts';
import { readMemberSetting } from '../restoring/member-store.ts';
import { removeUnchanged, type StoreKeys, storeEntry } from '../restoring/store-keys.ts';
import { fenceServer } from './fence.ts';
import type { Member } from './member.ts';
import { startedByPatroni } from './orphan.ts';
import { setMemberAside } from './set-aside-member.ts';
import { decideUnfinished } from './unfinished-rows.ts';

type Needs = Pick<Member, 'options' | 'file' | 'owner'>;

const note = v.object({ schema: v.literal('dbkit.member-begun/v1'), at: v.pipe(v.string(), v.isoTimestamp()), dataDir: v.string() });

const noteIn = (stateDir: string): string => join(stateDir, 'member-begun.json');
const ASK_AGAIN_MS = 2_000;
const END_MS = 5_000;
/** The clock of initdb's identifier counts whole seconds. */
const SECOND_MS = 1_000;

/** Before Patroni is started on an empty directory: until `ended` whatever comes to be there is its beginning. */
export async function noteBegun({ options, file: { dataDir } }: Needs): Promise<void> {
  const { config, system } = options;
  if ((await clusterEntries(dataDir)).length > 0) return;
  const begun = { schema: 'dbkit.member-begun/v1', at: system.clock.now().toISOString(), dataDir };
  await system.files.write(noteIn(config.stateDir), `${JSON.stringify(begun)}\n`, { mode: 0o600 });
}

/** Its server was ready. */
export const noteEnded = ({ options }: Pick<Needs, 'options'>): Promise<void> => rm(noteIn(options.config.stateDir), { force: true });

/**
 * Before Patroni is started: takes up what a kill has left of a cluster that it was making, which no Patroni does. The half of it is set aside
 * whole, and the mark in the store, which would keep every member waiting, is removed. True where a beginning was noted: what there is must
 * be looked at again. Waits for a store that does not answer, as Patroni would.
 */
export async function takeUpUnfinished(needs: Needs, signal: AbortSignal): Promise<boolean> {
  const { options, file } = needs;
  const { config, system } = options;
  const begun = await system.files.readJson(noteIn(config.stateDir), (value) => v.parse(note, value));
  if (begun === undefined || begun.dataDir !== file.dataDir) return false;
  const wasMaking = await endMakers(needs, signal);
  const store = await storeOf(needs, signal);
  const mark = store && (await patiently(needs, signal, () => storeEntry(store, 'initialize', signal)));
  const isEmpty = (await clusterEntries(file.dataDir)).length === 0;
  const identifier = await identifierOf(file.dataDir);
  const row = decideUnfinished({
    isBegunHere: true,
    isEmpty,
    wasMaking,
    madeBeforeBegun: identifier === null ? null : madeMs(identifier) + SECOND_MS < Date.parse(begun.at),
    mark: store === undefined ? 'not-etcd' : mark === undefined ? 'none' : markOf(mark.value, identifier),
    othersHaveNothing: mark?.value === '' && isEmpty && !wasMaking ? await othersHaveNothing(needs, signal) : false,
  });
  if (row.then === 'go-on') return true;
  const quarantine = isEmpty ? null : await setHalfAside(needs);
  const isFree = row.then === 'begin-again' && (await removeUnchanged(store!, 'initialize', mark!.revision, signal));
  const told = [row.words, ...(quarantine === null ? [] : [`it is in ${quarantine}`]), ...(isFree ? ['it is begun again'] : [])];
  system.log.warn('member.unfinished', told.join('; '), { reason: row.id, ...(quarantine === null ? {} : { quarantine }) });
  return true;
}

const markOf = (value: string, identifier: string | null): 'taken' | 'made' | 'made-other' =>
  value === '' ? 'taken' : identifier === null || identifier === value ? 'made' : 'made-other';

async function setHalfAside({ options: { config, system }, file: { dataDir }, owner }: Needs): Promise<string> {
  await fenceServer(dataDir, system.clock);
  return setMemberAside({ dataDir, backupDir: config.backupDir, owner, kind: 'replaced' }, system);
}

/** initdb and pg_basebackup live on when their Patroni is killed, and would write into what comes next. True where one of them made a cluster. */
async function endMakers({ options: { config, system } }: Needs, signal: AbortSignal): Promise<boolean> {
  const makers = await startedByPatroni(config.stateDir);
  const commands = await Promise.all(makers.map(({ pid }) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(unlessOwnTrouble)));
  for (const { pid } of makers) signalTo(pid, 'SIGKILL');
  const endMs = system.clock.monotonicMs() + END_MS;
  for (const one of makers) while ((await lives(one)) && system.clock.monotonicMs() < endMs) await system.clock.sleep(20, signal);
  return commands.some((words) => words !== undefined && MAKERS.test(words));
}

/** With zero bytes between its words (proc(5)). */
const MAKERS = /(^|[/"])initdb\b|\0ha\0bootstrap\0/;

/** A Patroni with an empty directory that waits says `stopped`; one that makes a cluster says what it does. */
async function othersHaveNothing({ options: { config }, file }: Needs, signal: AbortSignal): Promise<boolean> {
  if (Object.keys(config.ha.members).length === 0) return false;
  const ask = createPatroni(undefined);
  const others = membersOf(config.ha, config.postgresql.port).filter(({ name }) => name !== file.name);
  const views = await Promise.all(others.map(async (one) => readPatroni((await ask(one, '/patroni', signal)).json)));
  return views.every((view) => view?.state === 'stopped' && view.systemIdentifier === null);
}

/** undefined: its cluster is not kept in an etcd. */
async function storeOf({ options, file }: Needs, signal: AbortSignal): Promise<StoreKeys | undefined> {
  const ask = () => readMemberSetting(options.settings.config, file.scope, options.environment, signal);
  return patiently({ options }, signal, ask).then(
    (setting) => setting.store,
    (cause: unknown) => {
      if (cause instanceof DbkitError && cause.code === 'config.invalid') return undefined;
      throw cause;
    },
  );
}

/** Again while the store does not answer: Patroni could do nothing without it either. */
async function patiently<T>({ options: { system } }: Pick<Needs, 'options'>, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  let said = '';
  for (;;) {
    try {
      return await ask();
    } catch (cause) {
      signal.throwIfAborted();
      if (!(cause instanceof DbkitError) || cause.code !== 'service.failed') throw cause;
      if (wordsOf(cause) !== said) system.log.warn('member.no-store', `it waits for the store: ${wordsOf(cause)}`);
      said = wordsOf(cause);
      await system.clock.sleep(ASK_AGAIN_MS, signal);
    }
  }
}

/** null: there is no control file that can be read. */
async function identifierOf(dataDir: string): Promise<string | null> {
  const read = await readPlain(join(dataDir, 'global/pg_control')).then(parseControlFile, unlessMissing);
  return read !== undefined && 'control' in read ? read.control.systemIdentifier : null;
}

/** initdb puts the second of its run into the upper half of the identifier (xlog.c, BootStrapXLOG). */
const madeMs = (identifier: string): number => Number(BigInt(identifier) >> 32n) * SECOND_MS;
