const whole = new Intl.NumberFormat('en');
export const count = (n: number) => whole.format(n);

/** Bytes with a unit of 1024, three digits at most. */
export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  for (const unit of ['KiB', 'MiB', 'GiB']) {
    n /= 1024;
    if (n < 1000) return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${unit}`;
  }
  return `${(n / 1024).toFixed(1)} TiB`;
}

/** The bound of a setting; −1 is none. */
export const bound = (n: number) => (n < 0 ? 'no limit' : bytes(n));

/** Go-style durations without the zeros at their end: 168h0m0s is 7d. */
export function duration(text: string): string {
  const m = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  if (!m) return text;
  const h = Number(m[1] ?? 0), parts: string[] = [];
  if (h >= 48) parts.push(`${Math.floor(h / 24)}d`);
  const left = h >= 48 ? h % 24 : h;
  if (left) parts.push(`${left}h`);
  if (Number(m[2] ?? 0)) parts.push(`${m[2]}m`);
  if (Number(m[3] ?? 0)) parts.push(`${m[3]}s`);
  return parts.join(' ') || '0s';
}

const pad = (n: number, width = 2) => String(n).padStart(width, '0');

/** The time of day, to the millisecond, in local time. */
export function clock(t: Date): string {
  return isNaN(+t) ? '' : `${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}.${pad(t.getMilliseconds(), 3)}`;
}

export const ms = (n: number) => (n === 0 ? '0' : n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : whole.format(Math.round(n)));
