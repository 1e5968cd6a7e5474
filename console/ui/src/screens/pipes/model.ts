export type State = 'running' | 'paused' | 'stopped' | 'done' | 'failing';

/** One thing that is wrong with a definition. */
export interface Mistake { line?: number; column?: number; field?: string; detail: string; fix?: string }

/** A pipe, or stages for pipes, as GET /v1/pipes shows it; lists have no definition. */
export interface Pipe { name: string; stages?: boolean; state: State; revision: number; origin?: string; definition?: string; uses?: string[]; problems?: Mistake[] }

/** What passed one step since the pipe has its owner. */
export interface Step { path: string; name: string; kind: string; in: number; out: number; errors: number; us: number; max_us: number }

/** One owner of a pipe that has one for each partition. */
export interface Part { partition: number; state: State; node?: string; problem?: string; in: number; out: number; dead: number; lag: number; commits: number; commit_us: number }

export interface Stats {
  state: State;
  revision?: number;
  since?: string;
  node?: string;
  problem?: string;
  refused?: string;
  in: number;
  out: number;
  dead: number;
  lag: number;
  more?: boolean;
  lost?: number;
  commits: number;
  commit_us: number;
  state_bytes: number;
  steps?: Step[];
  partitions?: Part[];
}

/** A step of a definition, and a way from step to step. */
export interface Explained { path: string; name?: string; brief: string; does: string; keeps: string; depth: number }
export interface Edge { from: string; to: string; label?: string }
export interface Finding { path: string; step: string; what: string; fix: string; line?: number }

/** What POST /v1/pipes/NAME/check says. */
export interface Report { ok: boolean; stages?: boolean; problems?: Mistake[]; findings?: Finding[]; steps?: Explained[]; edges?: Edge[] }

/** How one test of a definition went. */
export interface Verdict { name: string; passed: boolean; wrong?: string[]; line?: number }

export const pipePath = (name: string, ...rest: string[]) => ['/v1/pipes', encodeURIComponent(name), ...rest].join('/');

export const states: Record<State, string> = { running: 'running', paused: 'paused', stopped: 'stopped', done: 'done', failing: 'failing' };

/** What a pipe does, as far as its owner says it; otherwise what it is to do. */
export const stateOf = (pipe: Pipe, stats?: Stats | null): State => (pipe.problems?.length ? 'failing' : (stats?.state ?? pipe.state));

/** The kind of a step, and the rest of it. */
export function partsOf(brief: string): [kind: string, rest: string] {
  const space = brief.indexOf(' ');
  return space < 0 ? [brief, ''] : [brief.slice(0, space), brief.slice(space + 1)];
}

/** The name that a person gave a step; one without is its place and kind, as in "2 (where)". */
export const givenName = (s: { name?: string; path: string }) => (s.name && !s.name.startsWith(`${s.path} (`) ? s.name : '');

export const errorsOf = (stats?: Stats | null) => (stats?.steps ?? []).reduce((n, s) => n + s.errors, 0);

/** Microseconds, as people read them. */
export function took(us: number): string {
  if (us === 0) return '';
  if (us < 1000) return `${us < 10 ? us.toFixed(1) : Math.round(us)} µs`;
  return us < 1_000_000 ? `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms` : `${(us / 1_000_000).toFixed(1)} s`;
}
