/** Pure. One word for sh, whatever is in it. */
export const shellWord = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Pure. The same as a person would type it: without quotes where none are needed. */
export const shellArgument = (word: string): string => (/^[\w./:=@%+,-]+$/.test(word) ? word : shellWord(word));
