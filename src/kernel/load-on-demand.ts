type AsyncMethod = (...args: never[]) => Promise<unknown>;

/** Methods of something whose code is loaded with the first call: a plain start asks for no backup, and should not pay for the engines. */
export function lazily<K extends string, T extends Record<K, AsyncMethod>>(names: readonly K[], load: () => Promise<T>): Pick<T, K> {
  let loading: Promise<T> | undefined;
  const method =
    (name: K): AsyncMethod =>
    async (...args) => {
      loading ??= load();
      return (await loading)[name](...args);
    };
  return Object.fromEntries(names.map((name) => [name, method(name)])) as unknown as Pick<T, K>;
}
