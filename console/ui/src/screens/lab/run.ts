import { batch, signal } from '@preact/signals';
import { problemOf, send, type Problem } from '../../api';

export interface Message {
  t: number;
  lane: string;
  conn: number;
  server: boolean;
  kind: 'request' | 'response' | 'event' | 'heartbeat' | 'other';
  label: string;
  bytes: number;
  events?: number;
  empty?: boolean;
  raw: string;
}

export interface Figures {
  lane: string;
  requests: number;
  empty: number;
  connections: number;
  bytes_in: number;
  bytes_out: number;
  messages: number;
  events: number;
  missing: number;
  duplicates: number;
  latency: { p50: number; p99: number; max: number };
}

export interface Lane { name: string; title: string; summary: string }
export interface Request { lanes: string[]; seed: number; events: number; duration: string; every: string; size: number }

export interface Start { topic: string; request: Request; schedule: number[] }

/** What is known after a run. */
export interface Closing<F> { figures: F[]; truncated: number; took: number }

/** How a kind of run speaks: where it is asked for, and how the members of its lines are called. */
export interface Kind<N> {
  path: string;
  opening: string;
  news?: string; // what happens, beside messages
  closing: string;
  add?: (all: N[], more: N[]) => N[]; // otherwise what comes is behind what there is
  message?: (m: Message) => Message;
}

type Line = Record<string, unknown>;

/** A run in the server, and what it has told so far: Q asks for it, O opens, N is news and F are its figures. */
export class Run<Q extends object, O, N, F> {
  readonly opening = signal<O | null>(null);
  readonly news = signal<N[]>([]);
  readonly trace = signal<Message[]>([]);
  readonly closing = signal<Closing<F> | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly running = signal(true);
  private abort = new AbortController();

  constructor(private readonly kind: Kind<N>, readonly request: Q) {}

  stop = () => this.abort.abort();

  async go(): Promise<void> {
    try {
      for await (const line of post(this.kind.path, this.request, this.abort.signal)) this.take(line);
      if (!this.closing.value && !this.problem.value) this.problem.value = brokenOff;
    } catch (err) {
      if (!this.abort.signal.aborted) this.problem.value = problemOf(err);
    }
    this.running.value = false;
  }

  private take(line: Line): void {
    const { opening, news, closing, add, message } = this.kind;
    const trace = line.trace as Message[] | undefined, more = news ? (line[news] as N[] | undefined) : undefined;
    batch(() => {
      if (line[opening]) this.opening.value = line[opening] as O;
      if (more) this.news.value = add ? add(this.news.value, more) : [...this.news.value, ...more];
      if (trace) this.trace.value = [...this.trace.value, ...(message ? trace.map(message) : trace)];
      if (line[closing]) this.closing.value = line[closing] as Closing<F>;
      if (line.error) this.problem.value = line.error as Problem;
    });
  }
}

/** One schedule through several ways of delivery. */
export type DeliveryRun = Run<Request, Start, never, Figures>;
export const deliveryKind: Kind<never> = { path: '/lab/run', opening: 'start', closing: 'end' };

const brokenOff: Problem = { status: 0, title: 'The run broke off', detail: 'the server went away before its end', fix: 'run it again' };

/** Asks for a run, and gives the lines of the answer as they come. */
async function* post(path: string, request: object, signal: AbortSignal): AsyncGenerator<Line> {
  const res = await send(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request), signal });
  const reader = res.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop()!;
    for (const part of parts) yield JSON.parse(part) as Line;
  }
}
