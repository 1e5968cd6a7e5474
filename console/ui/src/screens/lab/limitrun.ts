import { batch, signal } from '@preact/signals';
import { problemOf, type Problem } from '../../api';
import type { Definition } from '../limits/model';
import { brokenOff, post, type Message } from './run';

export interface LimitLane { name: string; title: string; summary: string }
export interface Experiment { name: string; title: string; summary: string; lanes: LimitLane[] }
export interface LimitRequest { experiment: string; quota: number; window: string; seed: number }

/** One request of a caller and its answer, in milliseconds of the run. */
export interface Call { lane: string; call: number; try: number; sent: number; done: number; status: number; retry_after?: number; left?: number }

export interface LimitFigures {
  lane: string;
  calls: number;
  admitted: number;
  refused: number;
  requests: number;
  peak: number;
  inside: number;
  waited: { p50: number; p99: number; max: number };
  last: number;
  connections: number;
  bytes_in: number;
  bytes_out: number;
}

export interface Opening { topic: string; request: LimitRequest; experiment: Experiment; limits: ({ lane: string; name: string } & Definition)[]; schedule: number[]; edge?: number; wait: number }
interface Line { opening?: Opening; calls?: Call[]; trace?: Message[]; closing?: { figures: LimitFigures[]; truncated: number; took: number }; error?: Problem }

export const letIn = (c: Call) => c.status === 200 || c.status === 201;

/** A run with limits, and what it has told so far. */
export class LimitRun {
  readonly opening = signal<Opening | null>(null);
  readonly calls = signal<Call[]>([]);
  readonly trace = signal<Message[]>([]);
  readonly closing = signal<Line['closing'] | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly running = signal(true);
  private abort = new AbortController();

  constructor(readonly request: LimitRequest) {}

  stop = () => this.abort.abort();

  async go(): Promise<void> {
    try {
      for await (const line of post<Line>('/lab/limits', this.request, this.abort.signal)) this.take(line);
      if (!this.closing.value && !this.problem.value) this.problem.value = brokenOff;
    } catch (err) {
      if (!this.abort.signal.aborted) this.problem.value = problemOf(err);
    }
    this.running.value = false;
  }

  private take(line: Line): void {
    batch(() => {
      if (line.opening) this.opening.value = line.opening;
      if (line.calls) this.calls.value = [...this.calls.value, ...line.calls];
      if (line.trace) this.trace.value = [...this.trace.value, ...line.trace];
      if (line.closing) this.closing.value = line.closing;
      if (line.error) this.problem.value = line.error;
    });
  }
}
