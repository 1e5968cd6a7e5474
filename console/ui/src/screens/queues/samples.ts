import type { Stats } from './model';

/** What a look at a queue counted. */
export interface Sample { at: number; ready: number; delayed: number; leased: number; dead: number; done: number; enqueued: number }

export const backlog = (s: Sample) => s.ready + s.delayed + s.leased;

const kept = 5 * 60_000;

/** Adds a look. A queue that was made anew begins anew. */
export function sampled(all: Sample[], s: Stats, at: number): Sample[] {
  const one = { at, ready: s.ready, delayed: s.delayed, leased: s.leased, dead: s.dead, done: s.done, enqueued: s.enqueued };
  const last = all[all.length - 1];
  if (!last || one.enqueued < last.enqueued || one.done < last.done) return [one];
  const from = all.findIndex((x) => x.at >= at - kept);
  return [...all.slice(Math.max(0, from - 1)), one];
}

/** Jobs a second over the last five seconds, and how long the backlog lasts at that pace. */
export function pace(all: Sample[]): { done: number; enqueued: number; left: number | null } {
  const last = all[all.length - 1];
  const first = all.find((s) => last && s.at >= last.at - 5000);
  if (!last || !first || last.at - first.at < 200) return { done: 0, enqueued: 0, left: null };
  const seconds = (last.at - first.at) / 1000;
  const done = (last.done - first.done) / seconds, enqueued = (last.enqueued - first.enqueued) / seconds;
  return { done, enqueued, left: backlog(last) > 0 && done > enqueued ? (backlog(last) / (done - enqueued)) * 1000 : null };
}

/** The next number that is good for a scale. */
export function ceiling(n: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  for (const step of [1, 2, 5]) if (step * power >= n) return step * power;
  return 10 * power;
}

/** How much time is drawn: more and more, up to all that is kept. */
export function spanOf(age: number): number {
  for (const span of [30_000, 60_000, 120_000]) if (age <= span) return span;
  return kept;
}

export type Series = 'leased' | 'ready' | 'delayed';
const order: Series[] = ['leased', 'ready', 'delayed']; // from below

/**
 * The stacked areas of a chart, as SVG paths. x is in tenths of a second since began, y
 * in jobs, upwards from 0: the chart scales both.
 */
export function areas(all: Sample[], began: number): { series: Series; d: string }[] {
  const last = all[all.length - 1];
  if (!last) return [];
  const points = [...all, { ...last, at: last.at + 10_000 }]; // until the next look
  const x = (s: Sample) => Math.round((s.at - began) / 10) / 10;
  return order.map((series, i) => {
    const under = (s: Sample) => order.slice(0, i).reduce((n, k) => n + s[k], 0);
    const top = points.map((s) => `${x(s)} ${under(s) + s[series]}`);
    const bottom = points.map((s) => `${x(s)} ${under(s)}`).reverse();
    return { series, d: `M${top.join('L')}L${bottom.join('L')}Z` };
  });
}
