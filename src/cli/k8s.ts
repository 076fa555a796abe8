import { type Command, InvalidArgumentError, Option } from 'commander';
import { components, type RenderReport, type RenderRequest, renderManifests } from '../homes/kubernetes/render-manifests.ts';
import type { Cli } from './cli.ts';

interface RenderFlags {
  readonly name: string;
  readonly namespace?: string;
  readonly image?: string;
  readonly with?: RenderRequest['with'];
  readonly backupSchedule?: string;
  readonly verifySchedule?: string;
  readonly cleanupSchedule?: string;
  readonly dumpSchedule?: string;
  readonly drillSchedule?: string;
  readonly dataSize?: string;
  readonly backupsSize?: string;
  readonly storageClass?: string;
}

/** An object that Kubernetes would refuse is refused here, with the reason, before anything is applied. */
const matching =
  (pattern: RegExp, expected: string) =>
  (text: string): string => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`expected ${expected}.`);
  };
/** CronJobs' names have 52 characters at most, and `-cleanup` is the longest that is added. */
const label = matching(/^[a-z]([a-z0-9-]{0,42}[a-z0-9])?$/, 'up to 44 characters of a-z, 0-9 and -, the first one a letter');
const schedule = matching(/^[\d*/,-]+( [\d*/,A-Za-z-]+){4}$/, "five fields, like '0 6,18 * * *'");
const size = matching(/^\d+(\.\d+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$/, "a quantity, like '250Gi'");

export function registerK8s(program: Command, cli: Cli): void {
  program
    .command('k8s')
    .description('manifests for Kubernetes')
    .addHelpText('after', '\nExample:\n  dbkit k8s render --namespace shop | kubectl apply -f -')
    .command('render')
    .description('print a database pod with its monitor, jobs, volumes and policies as one YAML stream')
    .addOption(new Option('--name <name>', 'the prefix of every object’s name').argParser(label).default('dbkit'))
    .addOption(new Option('--namespace <name>', 'the namespace of the objects').argParser(label))
    .option('--image <image>', 'the image of deploy/Dockerfile (default: dbkit, of this version)')
    .addOption(new Option('--with <components...>', 'optional parts').choices(components))
    .addOption(new Option('--backup-schedule <cron>', 'when backups are taken, in UTC (default: 0 6,18 * * *)').argParser(schedule))
    .addOption(new Option('--verify-schedule <cron>', 'when backups are verified (default: 0 3 * * *)').argParser(schedule))
    .addOption(new Option('--cleanup-schedule <cron>', 'when old backups are removed (default: 0 2 * * *)').argParser(schedule))
    .addOption(new Option('--dump-schedule <cron>', 'when dumps are taken, with `--with dump` (default: 30 4 * * 0)').argParser(schedule))
    .addOption(
      new Option('--drill-schedule <cron>', 'when a cluster’s disaster is rehearsed, with `--with drill` (default: 0 5 1 * *)').argParser(
        schedule,
      ),
    )
    .addOption(new Option('--data-size <quantity>', 'size of the volume for the data (default: 250Gi)').argParser(size))
    .addOption(new Option('--backups-size <quantity>', 'size of the volume for the backups (default: 100Gi)').argParser(size))
    .option('--storage-class <name>', 'storage class of both volumes (default: the cluster’s)')
    .addHelpText(
      'after',
      '\nThe Secret NAME-passwords must be there; the alert channels of the configuration go into the ConfigMap, their secrets into what\n`dbkit alert setup --to-secret` prints.\n\nExamples:\n  dbkit k8s render --name orders --namespace shop --image registry.example/dbkit:17 > orders.yaml\n  dbkit k8s render --with monitoring dump --data-size 20Gi | kubectl apply -f -',
    )
    .action((flags: RenderFlags, command: Command) =>
      cli.run(command, async ({ config: load, surroundings: { home, version } }) => {
        const report = await renderManifests(await load(), {
          home,
          version,
          name: flags.name,
          namespace: flags.namespace,
          image: flags.image,
          with: flags.with ?? [],
          schedules: definedOnly({
            backup: flags.backupSchedule,
            verify: flags.verifySchedule,
            cleanup: flags.cleanupSchedule,
            dump: flags.dumpSchedule,
            drill: flags.drillSchedule,
          }),
          dataSize: flags.dataSize,
          backupsSize: flags.backupsSize,
          storageClass: flags.storageClass,
        });
        return { report, text: () => renderedText(report, flags.namespace) };
      }),
    );
}

const definedOnly = (schedules: Record<string, string | undefined>): RenderRequest['schedules'] =>
  Object.fromEntries(Object.entries(schedules).filter(([, value]) => value !== undefined)) as RenderRequest['schedules'];

/** One stream for kubectl, which begins with what it does not hold. */
function renderedText({ manifests, secrets }: RenderReport, namespace: string | undefined): string {
  const where = namespace === undefined ? '' : ` --namespace ${namespace}`;
  const needed = secrets
    .filter(({ required }) => required)
    .map(
      ({ name, keys }) =>
        `# Needs a Secret: kubectl${where} create secret generic ${name} ${keys.map((key) => `--from-literal=${key}=…`).join(' ')}\n`,
    );
  return `${needed.join('')}${manifests}`;
}
