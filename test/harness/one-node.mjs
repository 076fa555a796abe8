// The other side of one-node.ts: the program that argv names, asked again and again.
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , program] = process.argv;
process.argv[1] = program; // As which it starts itself again.
process.setMaxListeners(0); // Each command listens to the signals anew.
const { openProgram } = await import(pathToFileURL(join(dirname(program), 'program.js')).href);
const { main } = openProgram();
process.on('message', async ({ words, workingDirectory, environment }) => {
  process.chdir(workingDirectory);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  const code = await main(words);
  process.chdir('/'); // A folder that is to go must not have somebody in it.
  process.send({ code });
});
process.on('disconnect', () => process.exit());
process.send({ code: 0 });
