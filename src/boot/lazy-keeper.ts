import { lazily, loadedOnce } from '../kernel/load-on-demand.ts';
import type { Keeper } from './keeper.ts';

/** The keeper, whose code is loaded with the first call: most commands only look, and pay for neither recovery nor the server's start. */
export function lazyKeeper(load: () => Promise<Keeper>): Keeper {
  let keeper: Keeper | undefined;
  let tell = (): void => undefined;
  const loaded = loadedOnce(async () => {
    keeper = await load();
    keeper.onLaterReport(() => tell());
    return keeper;
  });
  return {
    ...lazily(['prepare', 'start', 'recover'], loaded),
    borrow: async (signal, work) => (await loaded()).borrow(signal, work),
    lastRecovery: () => keeper?.lastRecovery(),
    onLaterReport: (listener) => {
      tell = listener;
    },
    forget: () => keeper?.forget(),
  };
}
