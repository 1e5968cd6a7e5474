import { batch, signal } from '@preact/signals';
import { problemOf, type Problem } from '../../api';
import { brokenOff, post, type Message } from './run';

export interface Reader { name: string; title: string; summary: string; late?: boolean; back?: boolean; live?: boolean }
export interface GroupsRequest { events: number; duration: string; partitions: number; seed: number }

/** One thing that somebody did, in milliseconds of the run. */
export interface Act { lane: string; kind: 'published' | 'joined' | 'sought' | 'read'; at: number; event?: number; turn?: number; partition?: number; position?: number }

export interface GroupFigures {
  lane: string;
  events: number;
  missing: number;
  again: number;
  ordered: boolean;
  caught_up: number;
  latency: { p50: number; p99: number; max: number };
  requests: number;
  connections: number;
  bytes_in: number;
  bytes_out: number;
}

export interface GroupsOpening { topic: string; request: GroupsRequest; readers: Reader[]; schedule: number[]; middle: number }
interface Line { groups_opening?: GroupsOpening; acts?: Act[]; trace?: Message[]; groups_closing?: { figures: GroupFigures[]; truncated: number; took: number }; error?: Problem }

/** A run with consumer groups, and what it has told so far. */
export class GroupRun {
  readonly opening = signal<GroupsOpening | null>(null);
  readonly acts = signal<Act[]>([]);
  readonly trace = signal<Message[]>([]);
  readonly closing = signal<Line['groups_closing'] | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly running = signal(true);
  private abort = new AbortController();

  constructor(readonly request: GroupsRequest) {}

  stop = () => this.abort.abort();

  async go(): Promise<void> {
    try {
      for await (const line of post<Line>('/lab/groups', this.request, this.abort.signal)) this.take(line);
      if (!this.closing.value && !this.problem.value) this.problem.value = brokenOff;
    } catch (err) {
      if (!this.abort.signal.aborted) this.problem.value = problemOf(err);
    }
    this.running.value = false;
  }

  private take(line: Line): void {
    batch(() => {
      if (line.groups_opening) this.opening.value = line.groups_opening;
      if (line.acts) this.acts.value = [...this.acts.value, ...line.acts];
      if (line.trace) this.trace.value = [...this.trace.value, ...line.trace];
      if (line.groups_closing) this.closing.value = line.groups_closing;
      if (line.error) this.problem.value = line.error;
    });
  }
}
