const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** '90s', '15m', '12h', '30d', '8w'. */
export const DURATION = /^\d+[smhdw]$/;

/** A text that matches DURATION as milliseconds. */
export const durationMs = (text: string): number => Number(text.slice(0, -1)) * unitMs[text.slice(-1) as keyof typeof unitMs];
