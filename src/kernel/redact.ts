const HIDDEN = '[secret]';

/** Every secret that this process has been told, in each form that it may be printed in; shorter ones would hide half of every sentence. */
const known = new Set<string>();
const LENGTH_MIN = 8;
/** The documented default and what examples use: they are no secrets, and stand in many sentences. */
const words = new Set(['password', 'postgres', 'postgresql', 'changeme', 'localhost']);

/** From now on this value is hidden wherever `redact` is applied. */
export function rememberSecret(value: string): void {
  if (value.length < LENGTH_MIN || words.has(value)) return;
  for (const form of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value), value.replaceAll("'", "''")]) known.add(form);
}

/** Where a secret stands whatever it is: first the place, which stays, then the secret. */
const places: readonly (readonly [pattern: RegExp, instead: string])[] = [
  // libpq connection strings (libpq chapter "Connection Strings").
  [
    /\b(password|passwd|sslpassword|passfile|scram_client_key|scram_server_key)(\s*=\s*)(?:''[^'\n]+'{0,2}|\\?'(?:[^'\\\n]|\\[^\n]|'')*'?|[^\s'",;&}]+)/gi,
    `$1$2${HIDDEN}`,
  ],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/'"]*):[^\s@/'"]+@/gi, `$1:${HIDDEN}@`],
  [/\b(PASSWORD\s+)E?'(?:[^'\n]|'')*'/g, `$1${HIDDEN}`],
  [/\bSCRAM-SHA-256\$[^\s'"]+/g, HIDDEN],
  [/\bmd5[0-9a-f]{32}\b/g, HIDDEN],
  // Addresses that are secrets themselves.
  [/(\/bot\d+:)[\w-]+/g, `$1${HIDDEN}`],
  [/(https?:\/\/(?:hooks\.slack\.com\/services|discord(?:app)?\.com\/api\/webhooks)\/)[^\s'"]+/g, `$1${HIDDEN}`],
  [/([?&](?:access_?token|token|api_?key|key|secret|signature|sig)=)[^&\s'"]+/gi, `$1${HIDDEN}`],
  [/\b(Bearer|Basic) [A-Za-z0-9+/=._~-]{8,}/g, `$1 ${HIDDEN}`],
  // The server quotes what it cannot read (guc-file.l, guc.c): a line of configuration is named, never shown.
  [/(, near token )(?:\\?"[^\n]*?\\?"(?=$|[\n\\,)]| \())/gm, `$1${HIDDEN}`],
  [/(invalid value for parameter \\?"[^"\\]+\\?": )\\?"(?![\w.%+-]{0,20}\\?")(?:[^"\\\n]|\\[^\n])*\\?"?/g, `$1${HIDDEN}`],
  [/(invalid value for parameter \\?"[^"\\]*(?:conninfo|password|command|secret)[^"\\]*\\?": )\\?"[^"\n]*"?/g, `$1${HIDDEN}`],
];

/** The text with every known secret, and everything that stands where a secret does, hidden. For whatever leaves this process. */
export function redact(text: string): string {
  let clean = text;
  for (const secret of known) if (clean.includes(secret)) clean = clean.replaceAll(secret, HIDDEN);
  for (const [pattern, instead] of places) clean = clean.replace(pattern, instead);
  return clean;
}
