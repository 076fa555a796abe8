import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing, must, note, podman } from './tools.ts';

/** The template's image, built once from the package of this checkout. */
export const IMAGE = 'localhost/dbkit-scenarios:latest';
/** The same, with passwordless sudo for its user. */
export const SUDO_IMAGE = 'localhost/dbkit-scenarios:sudo';
export const program = fileURLToPath(new URL('../../bin/dbkit.js', import.meta.url));

const SUDO = `FROM ${IMAGE}
USER root
RUN apt-get update && apt-get install -y --no-install-recommends sudo && echo 'node ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/node
`;

export default async function setup(): Promise<void> {
  const why = await missing();
  if (why) throw new Error(why);
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-image-'));
  try {
    await must(process.execPath, [program, 'init', 'devcontainer'], { cwd: folder });
    const built = await podman('build', '--format=docker', '--tag', IMAGE, join(folder, '.devcontainer'));
    note('image built', `${built.ms} ms`);
    await must('podman', ['build', '--format=docker', '--tag', SUDO_IMAGE, '-'], { input: SUDO });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
