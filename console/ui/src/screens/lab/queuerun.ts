import type { Kind, Message, Run } from './run';

/** The workers of one lane. */
export interface Crew { name: string; title: string; summary: string; workers: string[]; crashes?: string }
export interface QueueRequest { jobs: number; work: string; visibility: string; seed: number }

/** A worker's time with a job, in milliseconds of the run. */
export interface Span { lane: string; worker: string; job: number; attempt: number; began: number; ended?: number; end?: 'done' | 'crashed' | 'lost' }

export interface Takeover { job: number; from: string; to: string; left: number; taken: number }

export interface CrewFigures {
  lane: string;
  jobs: number;
  done: number;
  drained: number;
  attempts: number;
  workers: { name: string; done: number; busy: number; crashed?: number }[];
  taken_over: Takeover[];
  requests: number;
  connections: number;
  bytes_in: number;
  bytes_out: number;
}

export interface QueueOpening { topic: string; request: QueueRequest; crews: Crew[]; tasks: number[] }

const key = (s: Span) => `${s.lane} ${s.job} ${s.attempt}`;

/** Spans are told when they begin and again when they end: the latter takes the former's place. */
export function merged(all: Span[], more: Span[]): Span[] {
  const out = [...all], at = new Map(all.map((s, i) => [key(s), i]));
  for (const s of more) {
    const i = at.get(key(s));
    if (i === undefined) at.set(key(s), out.push(s) - 1);
    else out[i] = s;
  }
  return out;
}

/** A run with a work queue, and what it has told so far. */
export type QueueRun = Run<QueueRequest, QueueOpening, Span, CrewFigures>;
export const queueKind: Kind<Span> = { path: '/lab/queue', opening: 'queue_opening', news: 'spans', closing: 'queue_closing', add: merged, message: named };

/** Says of a message what it is about; its text on the wire stays. */
export function named(m: Message): Message {
  if (m.kind === 'request') {
    const what = /\/(jobs|lease|settle)$/.exec(m.label)?.[1];
    const label = what === 'jobs' ? 'enqueue' : what === 'settle' ? (/"action":"(\w+)"/.exec(m.raw)?.[1] ?? what) : what;
    return label ? { ...m, label } : m;
  }
  const body = m.raw.slice(m.raw.indexOf('\n\n'));
  if (m.kind !== 'response' || !m.label.startsWith('20')) return m;
  if (/"jobs":\s*\[\]/.test(body)) return { ...m, label: 'no job', empty: true };
  const job = /"job":(\d+)/.exec(body)?.[1], attempt = /"attempt":(\d+)/.exec(body)?.[1];
  if (body.includes('"lease":"') && job) return { ...m, label: `job ${job}${attempt && attempt !== '1' ? `, attempt ${attempt}` : ''}` };
  return m;
}
