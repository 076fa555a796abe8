import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Identity, Runner } from '../../kernel/machine.ts';
import { hostsOf, prefixOf } from './hosts.ts';
import type { Command } from './local-member.ts';
import { memberName } from './local-plan.ts';

/**
 * A cluster whose members are apart: each has a network of its own, and so have etcd, HAProxy and PgBouncer together (the hub), on one bridge, as
 * machines are on one switch (ip-netns(8)). This machine has a cable to it, too, so that it sees everybody whoever is cut off.
 */
interface Apart {
  readonly port: number;
  readonly members: number;
}

interface Needs {
  readonly runner: Runner;
}

const TIMEOUT_MS = 10_000;
const HUB = 'hub';
/** Nobody's: what is sent to it reaches no one, and no refusal comes back, as when a cable is cut. */
const NO_ONE = '02:00:00:00:00:01';

const namespaceOf = (port: number, name: string): string => `dbkit-${port}-${name}`;
const cableOf = (port: number): string => `dbk${port}`;

/** Rejects with `recovery.refused`, nothing left, where this machine lets dbkit make no networks. */
export async function makeNetworks(needs: Needs, { port, members }: Apart, signal: AbortSignal): Promise<void> {
  await removeNetworks(needs, { port, members }, signal); // Of a drill that was killed.
  const hub = namespaceOf(port, HUB);
  const prefix = prefixOf(port);
  const cable = cableOf(port);
  const steps = [
    `netns add ${hub}`,
    `-n ${hub} link set lo up`,
    `-n ${hub} link add br0 type bridge`,
    `-n ${hub} addr add ${prefix}.1/24 dev br0`,
    `-n ${hub} link set br0 up`,
    `link add ${cable} type veth peer name here netns ${hub}`,
    `-n ${hub} link set here master br0 up`,
    `addr add ${prefix}.2/24 dev ${cable}`,
    `link set ${cable} up`,
    ...Array.from({ length: members }, (_one, index) => {
      const name = memberName(index);
      const own = namespaceOf(port, name);
      return [
        `netns add ${own}`,
        `-n ${own} link set lo up`,
        `-n ${hub} link add ${name} type veth peer name eth0 netns ${own}`,
        `-n ${hub} link set ${name} master br0 up`,
        `-n ${own} addr add ${prefix}.${11 + index}/24 dev eth0`,
        `-n ${own} link set eth0 up`,
      ];
    }).flat(),
  ];
  try {
    for (const step of steps) await ip(needs, step, signal);
  } catch (cause) {
    await removeNetworks(needs, { port, members }, new AbortController().signal);
    signal.throwIfAborted();
    throw new DbkitError('recovery.refused', `this machine lets dbkit make no networks: ${wordsOf(cause)}`, {
      hint: 'it needs root (in a container: --cap-add NET_ADMIN --cap-add SYS_ADMIN) and `ip` (apt-get install iproute2)',
      cause,
    });
  }
}

/** The cables go with their networks. */
export async function removeNetworks(needs: Needs, { port, members }: Apart, signal: AbortSignal): Promise<void> {
  const names = [HUB, ...Array.from({ length: members }, (_one, index) => memberName(index))];
  const steps = [`link del ${cableOf(port)}`, ...names.map((name) => `netns del ${namespaceOf(port, name)}`)];
  for (const step of steps) await ip(needs, step, signal).catch(() => undefined); // It is not there.
}

/** Cuts one member off from the others and from the hub, in both directions; `isCut: false` mends it. */
export async function cutOff(
  needs: Needs,
  { port, members }: Apart,
  { name, isCut }: { readonly name: string; readonly isCut: boolean },
  signal: AbortSignal,
): Promise<void> {
  const hosts = hostsOf({ port, apart: true });
  const all = [
    { name: HUB, host: hosts.hub, device: 'br0' },
    ...Array.from({ length: members }, (_one, index) => ({ name: memberName(index), host: hosts.member(index), device: 'eth0' })),
  ];
  const own = all.find((one) => one.name === name)!;
  const forget = (from: (typeof all)[number], to: string): Promise<void> => {
    const words = isCut ? `replace ${to} lladdr ${NO_ONE} dev ${from.device} nud permanent` : `del ${to} dev ${from.device}`;
    return ip(needs, `-n ${namespaceOf(port, from.name)} neigh ${words}`, signal);
  };
  for (const other of all.filter((one) => one !== own)) {
    await forget(own, other.host);
    await forget(other, own.host);
  }
}

/** The same program in the network of a member, or in the hub (nsenter(1)); it stays one process. */
export function inNetwork(
  { name, file, args, env }: Command,
  { port, isMember }: { readonly port: number; readonly isMember: boolean },
  { uid, gid }: Identity,
): Command {
  const network = `--net=/run/netns/${namespaceOf(port, isMember ? name : HUB)}`;
  return { name, file: 'nsenter', args: [network, '--setuid', String(uid), '--setgid', String(gid), '--', file, ...args], env };
}

/** `-n NETWORK` first: within it. Not by ip's own flag, which mounts things meanwhile, and cannot in a chroot. As root, in a folder of the servers’ user, too. */
async function ip({ runner }: Needs, words: string, signal: AbortSignal): Promise<void> {
  const [, network, inside] = /^-n (\S+) (.*)$/.exec(words) ?? [];
  const tool =
    network === undefined
      ? { file: 'ip', args: words.split(' ') }
      : { file: 'nsenter', args: [`--net=/run/netns/${network}`, 'ip', ...inside!.split(' ')] };
  await runner.run({ ...tool, timeoutMs: TIMEOUT_MS, as: 'caller' }, signal);
}
