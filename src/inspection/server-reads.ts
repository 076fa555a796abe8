import { join, relative } from 'node:path';
import type { Binaries } from '../instance/binaries.ts';
import { configurationArguments } from '../instance/external-configuration.ts';
import type { System } from '../kernel/machine.ts';
import { redact } from '../kernel/redact.ts';
import type { Finding } from './findings.ts';

const TIMEOUT_MS = 10_000;

/**
 * Lets the server itself read its configuration without starting (`postgres -C`, which root may run too): it knows every setting's name and
 * range, those of included files as well. Resolves to nothing when all is well, or when this major's programs cannot say.
 */
export async function serverReads(
  dataDir: string,
  { directory }: Pick<Binaries, 'directory'>,
  { runner, childEnvironment }: Pick<System, 'runner' | 'childEnvironment'>,
  signal: AbortSignal,
): Promise<Finding[]> {
  const tool = {
    file: join(directory, 'postgres'),
    args: ['-C', 'data_directory', '-D', dataDir, ...(await configurationArguments(dataDir, dataDir))],
    env: { ...childEnvironment, LC_ALL: 'C' },
  };
  const { exitCode, stderr } = await runner.attempt({ ...tool, timeoutMs: TIMEOUT_MS }, signal);
  const said = redact(stderr);
  const problem = /\b(?:LOG|FATAL|ERROR): {2}(.*(?:in file|configuration file|configuration parameter|parameter ").*)$/m.exec(said)?.[1];
  if (exitCode === 0 || problem === undefined) return [];
  const file = /(?:in|configuration) file "([^"]+)"/.exec(problem)?.[1];
  const path = file?.startsWith(`${dataDir}/`) ? relative(dataDir, file) : 'postgresql.conf';
  return [{ code: 'conf.broken', path, evidence: problem, severity: 'certain', postgresSays: problem }];
}
