import { count } from '../../format';

/** A group's lag at a moment; undefined when it was not known. */
export interface Sample { t: number; lag?: number }

const span = 60_000;

/** Adds a sample, and drops those that are older than a minute. */
export function sampled(all: Sample[], lag: number | undefined, now: number): Sample[] {
  const last = all[all.length - 1];
  if (last && now - last.t < 500) return all;
  return [...all.filter((s) => now - s.t <= span), { t: now, lag }];
}

/** The path of what is known: gaps stay gaps. */
export function linePath(all: Sample[], now: number, most: number, width: number, height: number): string {
  let path = '', pen = false;
  for (const s of all) {
    if (s.lag === undefined) {
      pen = false;
      continue;
    }
    const x = width - ((now - s.t) / span) * width, y = height - (s.lag / most) * height;
    path += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  }
  return path;
}

/** The lag of the last minute, as far as this page has seen it. */
export function LagLine({ history }: { history: Sample[] }) {
  const last = history[history.length - 1];
  if (!last) return null;
  const most = Math.max(1, ...history.map((s) => s.lag ?? 0));
  return (
    <section class="panel lag-line" aria-label="Lag">
      <div class="toolbar"><h2>Lag, the last minute</h2><span class="spring" /><span class="muted small">at most {count(most === 1 && !history.some((s) => s.lag) ? 0 : most)} events</span></div>
      <svg viewBox="0 0 600 64" preserveAspectRatio="none" role="img" aria-label={`Lag now: ${last.lag === undefined ? 'not known' : `${count(last.lag)} events`}`}>
        <path d={linePath(history, last.t, most, 600, 58)} transform="translate(0 3)" />
      </svg>
    </section>
  );
}
