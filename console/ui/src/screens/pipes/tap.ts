import { batch, signal } from '@preact/signals';
import { problemOf, send, type Problem } from '../../api';
import { elements, members } from '../topics/rawjson';
import { rowOf, type Row } from '../topics/event';
import { pipePath } from './model';
import { Stream } from './sse';

/** How many records are kept; older ones are let go. */
export const kept = 100;

/** One event at a step: as it went in, and what came out. */
export interface Record { key: number; time: Date; before: Row | null; after: Row[]; failed?: { code: string; cause: string; attempts: number } }

let counter = 0; // numbers of records are those of a partition

export function recordOf(text: string): Record {
  const all = members(text);
  const plain = JSON.parse(text) as { time: string; failed?: Record['failed'] };
  const before = all.get('before');
  return { key: counter++, time: new Date(plain.time), before: before ? rowOf(before) : null, after: elements(all.get('after') ?? '[]').map(rowOf), failed: plain.failed };
}

/** What passes a step from now on. */
export class Tap {
  readonly records = signal<Record[]>([]); // the newest first
  readonly shown = signal(0);
  readonly dropped = signal(0); // that passed and the server did not show
  readonly frozen = signal(false);
  readonly open = signal(false);
  readonly problem = signal<Problem | null>(null);
  private abort = new AbortController();
  private timer = 0;
  private pending: Record[] = [];

  constructor(readonly pipe: string, readonly step: string) {}

  close(): void {
    this.abort.abort();
    clearTimeout(this.timer);
  }

  freeze(on: boolean): void {
    this.frozen.value = on;
    if (!on) this.flush();
  }

  clear(): void {
    this.pending = [];
    batch(() => {
      this.records.value = [];
      this.shown.value = this.dropped.value = 0;
    });
  }

  /** Reads until it is closed; a tap that ends is opened again, unless it was refused for good. */
  async listen(): Promise<void> {
    let again = 500;
    try {
      const res = await send(`${pipePath(this.pipe, 'tap')}?step=${encodeURIComponent(this.step)}`, { signal: this.abort.signal });
      batch(() => {
        this.open.value = true;
        this.problem.value = null;
      });
      const reader = res.body!.pipeThrough(new TextDecoderStream()).getReader(), stream = new Stream();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const sent of stream.take(value)) this.take(sent.type, sent.data);
        this.flush();
      }
    } catch (err) {
      if (this.abort.signal.aborted) return;
      const problem = problemOf(err);
      if (problem.status > 0) this.problem.value = problem; // a stream that broke off is opened again
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) again = 0;
      else again = 2000;
    }
    this.open.value = false;
    if (again && !this.abort.signal.aborted) this.timer = window.setTimeout(() => void this.listen(), again);
  }

  private take(type: string, data: string): void {
    if (type === 'dropped') this.dropped.value += (JSON.parse(data) as { dropped: number }).dropped;
    else this.pending.push(recordOf(data));
  }

  private flush(): void {
    if (this.frozen.value) {
      this.pending = this.pending.slice(-kept);
      return;
    }
    if (!this.pending.length) return;
    const news = this.pending.reverse();
    this.pending = [];
    batch(() => {
      this.shown.value += news.length;
      this.records.value = [...news, ...this.records.value].slice(0, kept);
    });
  }
}
