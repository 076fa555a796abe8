/** '512kB', '50MB', '1.5GB', '2TB': PostgreSQL's own units. */
export const SIZE = /^\d+(\.\d+)?(kB|MB|GB|TB)$/;

/** '1GB' → 1073741824: powers of 1024 (guc.c). */
export function sizeBytes(text: string): number {
  const exponent = ['kB', 'MB', 'GB', 'TB'].indexOf(text.slice(-2)) + 1;
  return Number.parseFloat(text) * 1024 ** exponent;
}
