type AsyncMethod = (...args: never[]) => Promise<unknown>;

/** Methods of something whose code is loaded with the first call: a plain start asks for no backup, and should not pay for the engines. */
export function lazily<K extends string, T extends Record<K, AsyncMethod>>(names: readonly K[], load: () => Promise<T>): Pick<T, K> {
  const loaded = loadedOnce(load);
  const method =
    (name: K): AsyncMethod =>
    async (...args) =>
      (await loaded())[name](...args);
  return Object.fromEntries(names.map((name) => [name, method(name)])) as unknown as Pick<T, K>;
}

/** Loads with the first call, and again where that failed: files may be short for a moment, or an update under way. */
export function loadedOnce<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= load().catch((cause: unknown) => {
      loading = undefined;
      throw cause;
    });
    return loading;
  };
}
