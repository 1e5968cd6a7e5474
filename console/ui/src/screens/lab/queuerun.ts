import { batch, signal } from '@preact/signals';
import { problemOf, type Problem } from '../../api';
import { brokenOff, post, type Message } from './run';

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
interface Line { queue_opening?: QueueOpening; spans?: Span[]; trace?: Message[]; queue_closing?: { figures: CrewFigures[]; truncated: number; took: number }; error?: Problem }

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
export class QueueRun {
  readonly opening = signal<QueueOpening | null>(null);
  readonly spans = signal<Span[]>([]);
  readonly trace = signal<Message[]>([]);
  readonly closing = signal<Line['queue_closing'] | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly running = signal(true);
  private abort = new AbortController();

  constructor(readonly request: QueueRequest) {}

  stop = () => this.abort.abort();

  async go(): Promise<void> {
    try {
      for await (const line of post<Line>('/lab/queue', this.request, this.abort.signal)) this.take(line);
      if (!this.closing.value && !this.problem.value) this.problem.value = brokenOff;
    } catch (err) {
      if (!this.abort.signal.aborted) this.problem.value = problemOf(err);
    }
    this.running.value = false;
  }

  private take(line: Line): void {
    batch(() => {
      if (line.queue_opening) this.opening.value = line.queue_opening;
      if (line.spans) this.spans.value = merged(this.spans.value, line.spans);
      if (line.trace) this.trace.value = [...this.trace.value, ...line.trace.map(named)];
      if (line.queue_closing) this.closing.value = line.queue_closing;
      if (line.error) this.problem.value = line.error;
    });
  }
}

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
