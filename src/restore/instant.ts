import { DbkitError } from '../kernel/errors.ts';

const FORM =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?|[A-Za-z]+(?:\/[A-Za-z0-9_+-]+)+)?$/;

/**
 * '2026-01-13 10:00[:00[.123456]]' with Z, an offset or a zone's name, else in `zone` (an IANA name), as microseconds since 1970. Rejects with
 * `usage.invalid` for other words, and for a time that the zone's clocks skipped or showed twice.
 */
export function parseInstant(text: string, zone: string): bigint {
  const [, year, month, day, hour, minute, second = '00', fraction = '', given] = FORM.exec(text.trim()) ?? [];
  const local = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const back = Number.isNaN(local) ? '' : new Date(local).toISOString().slice(0, 19).replace('T', ' ');
  if (back !== `${year}-${month}-${day} ${hour}:${minute}:${second}`)
    throw new DbkitError('usage.invalid', `'${text}' is not a time`, { hint: "write it like '2026-01-13 10:00:00+00', or 'latest'" });
  return BigInt(local - offsetMs(local, given ?? zone, text)) * 1000n + BigInt(fraction.padEnd(6, '0'));
}

/** How far the zone's clocks are before UTC at that local time. */
function offsetMs(local: number, zone: string, text: string): number {
  if (zone === 'Z' || zone.toUpperCase() === 'UTC') return 0;
  const [, sign, hours, minutes = '00'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  if (hours !== undefined) return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  const day = 86_400_000;
  const candidates = new Set([zoneOffsetMs(local - day, zone), zoneOffsetMs(local + day, zone)]);
  const fits = [...candidates].filter((offset) => zoneOffsetMs(local - offset, zone) === offset);
  if (fits.length === 1) return fits[0]!;
  const how = fits.length === 0 ? 'skipped that time' : 'showed that time twice';
  throw new DbkitError('usage.invalid', `the clocks of ${zone} ${how}: '${text}'`, { hint: 'add the UTC offset, such as +01' });
}

/** At an instant. Rejects with `usage.invalid` for a zone that is not known. */
function zoneOffsetMs(instant: number, zone: string): number {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  const shown = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return shown - Math.floor(instant / 1000) * 1000;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  try {
    const numeric = 'numeric' as const;
    const date = { year: numeric, month: numeric, day: numeric } as const;
    return new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', ...date, hour: numeric, minute: numeric, second: numeric });
  } catch (cause) {
    throw new DbkitError('usage.invalid', `the time zone ${zone} is not known here`, {
      hint: 'add the UTC offset to the time, such as +01',
      cause,
    });
  }
}

/** '2026-01-13 11:00:00.123456 (Europe/Berlin)': as the zone's clocks show it. */
export function inZone(micros: bigint, zone: string): string {
  const instant = Number(micros / 1000n);
  const shown = new Date(instant + zoneOffsetMs(instant, zone)).toISOString();
  return `${shown.slice(0, 10)} ${shown.slice(11, 19)}.${(micros % 1_000_000n).toString().padStart(6, '0')} (${zone})`;
}
