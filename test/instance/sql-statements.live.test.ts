import { expect, onTestFinished } from 'vitest';
import { splitStatements } from '../../src/instance/initialize/sql-statements.ts';
import { inSession } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { nightly } from '../harness/tier.ts';
import { atomic, statements } from './sql-statements.ts';

nightly('PostgreSQL’s own parser takes each piece of a script as one statement', async () => {
  const programs = installed.at(-1)!;
  const instance = await openInstance({ programs, from: 'template' });
  const bare = await startBare(programs, instance.dataDir, instance);
  onTestFinished(() => bare.stop());
  const wanted = [...statements, ...(programs.major >= 14 ? atomic : [])];
  const pieces = splitStatements(`${wanted.join(';\n')};\n/* the end /* of it */ ; */`);
  expect(pieces).toEqual(wanted);
  await inSession(instance, 'app', async (client) => {
    for (const text of pieces)
      await expect(client.query({ text, queryMode: 'extended' } as never), `one command, and a whole one: ${text}`).resolves.toBeDefined();
    const two = client.query({ text: 'SELECT 1; SELECT 2', queryMode: 'extended' } as never);
    await expect(two, 'so the server tells two from one').rejects.toThrow(/multiple commands/);
  });
});
