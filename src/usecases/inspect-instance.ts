import type { App, InspectionReport } from '../core/app.ts';

/** Looks at the data directory; never touches anything, and may be asked while the server runs. */
export async function inspectInstance(
  { instance }: Pick<App, 'instance'>,
  options: { deep: boolean },
  signal: AbortSignal,
): Promise<InspectionReport> {
  return instance.inspect(options, signal);
}
