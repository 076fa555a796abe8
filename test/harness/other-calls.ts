import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

type Call = (...args: readonly unknown[]) => unknown;
/** How a function of the file system behaves instead; `own` is the true one. */
type Otherwise = (own: Call, args: readonly unknown[]) => unknown;

/** While `work` runs, functions of node:fs behave otherwise: by their names, those that end in Sync, and those of node:fs/promises. */
export async function withCalls<T>(others: Readonly<Record<string, Otherwise>>, work: () => T | Promise<T>): Promise<T> {
  const undo: (() => void)[] = [];
  for (const [name, otherwise] of Object.entries(others)) {
    const isSync = name.endsWith('Sync');
    const home = (isSync ? fs : fs.promises) as unknown as Record<string, Call>;
    const own = home[name]!;
    const other: Call = (...args) => otherwise((...given) => own.apply(home, [...given]), args);
    home[name] = isSync ? other : async (...args) => other(...args);
    undo.push(() => {
      home[name] = own;
    });
  }
  syncBuiltinESMExports();
  try {
    return await work();
  } finally {
    for (const back of undo) back();
    syncBuiltinESMExports();
  }
}

/** Fails for some paths, as a bad sector or a mount that has gone does. */
export const failing =
  (errno: string, isMeant: (path: string) => boolean): Otherwise =>
  (own, args) => {
    if (isMeant(String(args[0]))) throw Object.assign(new Error(`${errno}: pretended, '${String(args[0])}'`), { code: errno });
    return own(...args);
  };
