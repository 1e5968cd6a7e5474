export interface Definition {
  limit: string;
  algorithm?: string;
  key?: string;
  on?: string[];
  mode?: string;
  action?: string;
  max_wait?: string;
}

export interface Counts { allowed: number; rejected: number; shaped: number; would_reject: number }

/** A limit as GET /v1/limits shows it. */
export interface Limit extends Definition {
  name: string;
  origin: 'config' | 'api';
  changed?: string;
  keys: number;
  waiting: number;
  counts: Counts;
  since: string;
  shared?: boolean; // units are counted for all nodes together
}

/** One of the busiest keys; times are seconds. */
export interface Key {
  key: string;
  parts?: string[];
  spent?: number;
  remaining?: number;
  reset: number;
  free: number;
  waiting: number;
  counts: Counts;
}

export interface View extends Limit { top: Key[] }

export const admitted = (c: Counts) => c.allowed + c.shaped;
export const refused = (c: Counts) => c.rejected + c.would_reject;

/** Limits of what is inside at once: their places belong to requests. */
export const held = (l: Definition) => l.algorithm === 'concurrency' || l.algorithm === 'adaptive';

/** What becomes of what is too much. */
export function manner(l: Definition): string {
  if (l.mode === 'shadow') return 'only counted';
  if (l.action === 'shape') return `waits, up to ${l.max_wait ?? '10s'}`;
  return 'refused';
}

/** Go's durations without the zeros at their end, inside a limit: 15m0s is 15m. */
export const tidy = (text: string) => text.replace(/(\d[hm])0s\b/g, '$1').replace(/(\dh)0m\b/g, '$1');

export interface Algorithm { name: string; example: string; promise: string }

/** The algorithms, and what each promises for one key. */
export const algorithms: Algorithm[] = [
  { name: 'token-bucket', example: '100/1m burst=20', promise: 'saves up to the burst; the burst and one quota in a window at worst' },
  { name: 'sliding-log', example: '5/15m', promise: 'never more than the quota in any window; keeps 8 bytes a unit' },
  { name: 'sliding-counter', example: '100/1m', promise: 'about the quota in any window, in 16 bytes' },
  { name: 'fixed-window', example: '1000/1h', promise: 'simple to explain; twice the quota across an edge at worst' },
  { name: 'gcra', example: '100/1m burst=20', promise: 'as the token bucket, in 8 bytes a key' },
  { name: 'leaky-queue', example: '10/1s burst=50', promise: 'an even flow; the burst is the length of the line' },
  { name: 'leaky-meter', example: '100/1m burst=20', promise: 'the token bucket seen from the other side' },
  { name: 'concurrency', example: '100', promise: 'so many inside at once; somebody has to leave first' },
  { name: 'adaptive', example: '20 min=1 max=200 target=300ms', promise: 'so many inside as keep work below the target time' },
];

export const limitPath = (name: string, ...rest: string[]) => ['/v1/limits', encodeURIComponent(name), ...rest].join('/');
