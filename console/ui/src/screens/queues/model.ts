import { elements, members } from '../topics/rawjson';

export type State = 'ready' | 'delayed' | 'leased' | 'dead';
export const states: State[] = ['ready', 'delayed', 'leased', 'dead'];

export interface Retry { kind: 'exponential' | 'fixed' | 'list'; delay?: string; max?: string; delays?: string[]; jitter?: number }

export interface Settings {
  max_attempts: number;
  visibility: string;
  retry: Retry;
  concurrency: number;
  rate: string;
  dead_letter: string;
  results: string;
  feed?: string[];
}

export interface Stats {
  ready: number;
  delayed: number;
  leased: number;
  dead: number;
  enqueued: number;
  done: number;
  groups: number;
  waiting: number;
  oldest?: string;
  feeds?: { pattern: string; lag: number; more?: boolean; error?: string }[];
}

/** A queue as GET /v1/queues shows it; of one that nobody owns now there is only the name. */
export interface Queue { name: string; settings?: Settings; paused: boolean; stats?: Stats }

export interface Attempt { number: number; worker?: string; began: string; ended?: string; cause?: string }

/** A job, with its event as it is written. */
export interface Job {
  id: string;
  state: State;
  enqueued: string;
  priority: number;
  key?: string;
  unique?: string;
  due?: string;
  attempts: number;
  history?: Attempt[];
  died?: string;
  reason?: string;
  retry?: Retry;
  max_attempts?: number;
  progress?: { progress: number; note?: string; at: string };
  event: string;
}

export function jobOf(text: string): Job {
  return { ...(JSON.parse(text) as Job), event: members(text).get('event') ?? '' };
}

export function jobsOf(text: string): { jobs: Job[]; next: string } {
  const all = members(text);
  return { jobs: elements(all.get('jobs') ?? '[]').map(jobOf), next: JSON.parse(all.get('next') ?? '""') as string };
}

/** What a job is about, on one line. */
export function preview(job: Job): string {
  const event = members(job.event || '{}');
  const data = event.get('data') ?? event.get('data_base64') ?? '';
  return (data.startsWith('"') ? String(JSON.parse(data)) : data).slice(0, 200);
}

/** A schedule, with its job as it is written. */
export interface Schedule { name: string; cron: string; zone: string; missed: 'skip' | 'once' | 'all'; paused?: boolean; next?: string; last?: string; error?: string; job: string; text: string }

export function schedulesOf(text: string): Schedule[] {
  return elements(members(text).get('schedules') ?? '[]').map((one) => ({ ...(JSON.parse(one) as Schedule), job: members(one).get('job') ?? '{}', text: one }));
}

/** Which dead jobs; an empty member is no condition. */
export interface Filter { reason: string; worker: string; key: string; since: '' | '10m' | '1h' | '24h' }

const ages = { '': 0, '10m': 600e3, '1h': 3600e3, '24h': 86400e3 };

/** The filter as the API takes it. */
export function filterBody(f: Filter, now: number): Record<string, string> {
  const all = { reason: f.reason, worker: f.worker, key: f.key, since: f.since && new Date(now - ages[f.since]).toISOString() };
  return Object.fromEntries(Object.entries(all).filter(([, v]) => v !== ''));
}

/** Whether the filter selects a dead job, as the server decides it. */
export function fits(job: Job, f: Filter, now: number): boolean {
  const last = job.history?.[job.history.length - 1];
  return (job.reason ?? '').includes(f.reason) && (!f.worker || last?.worker === f.worker) && (!f.key || job.key === f.key) && (!f.since || +new Date(job.died ?? 0) >= now - ages[f.since]);
}

export const queuePath = (name: string, ...rest: string[]) => ['/v1/queues', ...[name, ...rest].map(encodeURIComponent)].join('/');

/** A time that lasts, as people say it. */
export function lasting(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

const two = (n: number) => String(n).padStart(2, '0');

/** A moment in local time: its time of day, and the day unless it is today. */
export function moment(text: string | undefined, now: number): string {
  const t = new Date(text ?? NaN);
  if (isNaN(+t)) return '';
  const time = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  return t.toDateString() === new Date(now).toDateString() ? time : `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${time}`;
}

/** From now until a moment, or since it. */
export function away(text: string | undefined, now: number): string {
  const ms = +new Date(text ?? NaN) - now;
  return isNaN(ms) ? '' : ms >= 0 ? `in ${lasting(ms)}` : `${lasting(-ms)} ago`;
}

/** Go's durations without the zeros at their end: 15m0s is 15m. */
export const short = (text = '') => text.replace(/([hm])0s$/, '$1').replace(/h0m$/, 'h');

/** The retry policy in words. */
export function retrying(r: Retry): string {
  const jitter = r.jitter && r.jitter > 0 ? ` ± ${Math.round(r.jitter * 100)} %` : '';
  switch (r.kind) {
    case 'fixed': return `after ${short(r.delay)}${jitter}`;
    case 'list': return `after ${(r.delays ?? []).map(short).join(', ')}${jitter}`;
    default: return `${short(r.delay)}, doubled up to ${short(r.max)}${jitter}`;
  }
}
