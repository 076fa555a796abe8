/** From least to most; the names are a contract (routes, `--json`, messages). */
export const severities = ['INFO', 'SUCCESS', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export type Severity = (typeof severities)[number];
