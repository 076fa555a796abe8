/** True once whoever started this process is gone: the kernel then gives it another parent (credentials(7)). */
export function createParentWatch(): () => boolean {
  const parent = process.ppid;
  return () => process.ppid !== parent;
}
