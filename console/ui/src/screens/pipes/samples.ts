import type { Stats } from './model';

/** What a pipe had counted at a moment, in milliseconds. */
export interface Sample { t: number; stats: Stats }

/** How much of the past a pace is of. */
const span = 5000;

/** Adds a sample. Counts that began anew have no past: another node owns the pipe, or its steps are others. */
export function sampled(all: Sample[], stats: Stats, now: number): Sample[] {
  const last = all[all.length - 1];
  if (last && (last.stats.since !== stats.since || last.stats.in > stats.in || stats.steps?.some((s) => s.in < (last.stats.steps?.find((o) => o.path === s.path)?.in ?? 0)))) all = [];
  const from = all.findLastIndex((s) => now - s.t >= span);
  return [...all.slice(Math.max(0, from)), { t: now, stats }];
}

/** Events a second. */
export interface Pace { in: number; out: number; errors: number }
const none: Pace = { in: 0, out: 0, errors: 0 };

export interface Paces { known: boolean; whole: Pace; dead: number; steps: Map<string, Pace> }

/** What goes in and out in a second, of the pipe and of each step. */
export function paces(all: Sample[]): Paces {
  const a = all[0], b = all[all.length - 1];
  if (!a || !b || b.t <= a.t) return { known: false, whole: none, dead: 0, steps: new Map() };
  const pace = (now: number, then: number) => Math.max(0, ((now - then) / (b.t - a.t)) * 1000);
  const before = new Map(a.stats.steps?.map((s) => [s.path, s]));
  const steps = new Map<string, Pace>();
  for (const s of b.stats.steps ?? []) {
    const was = before.get(s.path) ?? { in: 0, out: 0, errors: 0 };
    steps.set(s.path, { in: pace(s.in, was.in), out: pace(s.out, was.out), errors: pace(s.errors, was.errors) });
  }
  return { known: true, whole: { in: pace(b.stats.in, a.stats.in), out: pace(b.stats.out, a.stats.out), errors: 0 }, dead: pace(b.stats.dead, a.stats.dead), steps };
}
