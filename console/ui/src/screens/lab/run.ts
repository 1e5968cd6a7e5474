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

interface Line {
  start?: { topic: string; request: Request; schedule: number[] };
  trace?: Message[];
  end?: { figures: Figures[]; truncated: number; took: number };
  error?: Problem;
}

/** A run against the server, and what it has told so far. */
export class Run {
  readonly start = signal<Line['start'] | null>(null);
  readonly trace = signal<Message[]>([]);
  readonly end = signal<Line['end'] | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly running = signal(true);
  private abort = new AbortController();

  constructor(readonly request: Request) {}

  stop = () => this.abort.abort();

  async go(): Promise<void> {
    try {
      for await (const line of post<Line>('/lab/run', this.request, this.abort.signal)) this.take(line);
      if (!this.end.value && !this.problem.value) this.problem.value = brokenOff;
    } catch (err) {
      if (!this.abort.signal.aborted) this.problem.value = problemOf(err);
    }
    this.running.value = false;
  }

  private take(line: Line): void {
    batch(() => {
      if (line.start) this.start.value = line.start;
      if (line.trace) this.trace.value = [...this.trace.value, ...line.trace];
      if (line.end) this.end.value = line.end;
      if (line.error) this.problem.value = line.error;
    });
  }
}

export const brokenOff: Problem = { status: 0, title: 'The run broke off', detail: 'the server went away before its end', fix: 'run it again' };

/** Asks for a run, and gives the lines of the answer as they come. */
export async function* post<T>(path: string, request: object, signal: AbortSignal): AsyncGenerator<T> {
  const res = await send(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request), signal });
  const reader = res.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop()!;
    for (const part of parts) yield JSON.parse(part) as T;
  }
}
