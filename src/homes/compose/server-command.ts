/** `command:` of an official image: the server and its settings (docker-entrypoint.sh hands them on). */
export type ServerCommand =
  | { readonly kind: 'settings'; readonly settings: Readonly<Record<string, string>> }
  /** Something else than `postgres -c name=value …`; `word` is the first that is not understood. */
  | { readonly kind: 'other'; readonly word: string };

/** `-c name=value`, `-cname=value` and `--name=value`, which PostgreSQL takes (postgres.c, process_postgres_switches); `config_file` is left to a person. */
export function serverCommand(command: unknown): ServerCommand {
  const words = Array.isArray(command) ? command.map(String) : shellWords(String(command ?? ''));
  const settings: Record<string, string> = {};
  for (let index = words[0] === 'postgres' ? 1 : 0; index < words.length; index++) {
    const word = words[index]!;
    const given = word === '-c' ? words[++index] : (/^-c(.+)$/.exec(word)?.[1] ?? /^--(.+)$/.exec(word)?.[1]);
    const [, name, value] = /^([A-Za-z_][\w.-]*)=(.*)$/s.exec(given ?? '') ?? [];
    if (name === undefined || name === 'config_file' || /\$(\{|\w)/.test(value!)) return { kind: 'other', word: given ?? word };
    settings[name.replaceAll('-', '_')] = value!;
  }
  return { kind: 'settings', settings };
}

/** As Compose splits a command that is written as one text: blanks, and both quotes. */
function shellWords(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"']+|"(?:[^"\\]|\\.)*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_all, double?: string, single?: string) => single ?? double!.replace(/\\(.)/g, '$1')),
  );
}
