/** A setting that a server refuses, in its own words; the file and the line where it says them. */
export interface RefusedSetting {
  readonly name: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly because: string;
}

const UNKNOWN = /unrecognized configuration parameter "([^"]+)"(?: in file "([^"]+)" line (\d+))?/;
const INVALID =
  /(invalid value for parameter "([^"]+)".*|.*is outside the valid range for parameter "([^"]+)".*|"([^"]+)" is no longer supported.*)/;

/** Pure. What `postgres` says of its configuration files before it gives up (guc-file.l, ProcessConfigFile; guc.c). */
export function refusedSettings(stderr: string): RefusedSetting[] {
  return stderr.split('\n').flatMap((text): RefusedSetting[] => {
    const unknown = UNKNOWN.exec(text);
    if (unknown) {
      const [, name, file, line] = unknown;
      return [
        { name: name!, file: file ?? null, line: line === undefined ? null : Number(line), because: 'this major version does not know it' },
      ];
    }
    const [, words, ...names] = INVALID.exec(text) ?? [];
    const name = names.find((one) => one !== undefined);
    return name === undefined ? [] : [{ name, file: null, line: null, because: words!.replace(/^.*?(?:LOG|FATAL|ERROR): */, '') }];
  });
}

/** Pure. The text with that setting commented out, wherever it is set; undefined where it is not in it. */
export function commentedOut(text: string, name: string, note: string): string | undefined {
  let found = false;
  const isIt = new RegExp(`^\\s*${name.replace(/[.$]/g, '\\$&')}(\\s|=)`, 'i');
  const lines = text.split('\n').map((line) => {
    if (!isIt.test(line)) return line;
    found = true;
    return `# ${note}: ${line.trim()}`;
  });
  return found ? lines.join('\n') : undefined;
}
