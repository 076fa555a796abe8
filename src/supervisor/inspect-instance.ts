import type { Inspect, InspectionReport } from '../inspection/report.ts';

/** Looks at the data directory; never touches anything, and may be asked while the server runs. */
export async function inspectInstance(
  { inspect }: { readonly inspect: Inspect },
  options: { deep: boolean },
  signal: AbortSignal,
): Promise<InspectionReport> {
  return inspect(options, signal);
}
