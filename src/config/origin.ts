/** Where a setting's value came from. */
export type Origin =
  | { readonly kind: 'file'; readonly path: string }
  /** The file that NAME_FILE names. */
  | { readonly kind: 'secret-file'; readonly path: string; readonly variable: string }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string };

/** As `config show --origin` prints it. */
export function originWords(origin: Origin): string {
  switch (origin.kind) {
    case 'file':
      return `file ${origin.path}`;
    case 'secret-file':
      return `file ${origin.path} (${origin.variable})`;
    case 'environment':
      return `environment ${origin.variable}`;
    case 'flag':
      return `flag ${origin.flag}`;
  }
}
