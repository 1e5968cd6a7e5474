import { batch, signal } from '@preact/signals';
import { connection, json, problemOf, send, streamURL, topicPath, type Problem } from '../../api';
import { noticeRow, rowOf, type Row } from './event';
import type { Topic } from './model';
import { elements, members } from './rawjson';

/** How many rows are kept; older ones are let go. */
export const maxRows = 1000;
const pageSize = 200;

const notices: Record<string, string> = {
  gap: 'events are missing here: retention has taken them',
  reset: 'the stream begins anew here: the topic was made again, or the server has forgotten',
  ahead: 'the place lies behind the end of the topic: reading goes on from its end',
};

/** The rows of one topic, newest first: a page of what is stored, then what comes. */
export class Tail {
  readonly rows = signal<Row[]>([]);
  readonly frozen = signal(false);
  readonly waiting = signal(0); // came while frozen
  readonly dropped = signal(0); // rows let go because there were too many
  readonly rate = signal(0); // events a second
  readonly before = signal(''); // for the page of older events
  readonly more = signal(false); // there are stored events after the newest row
  readonly loading = signal(true);
  readonly problem = signal<Problem | null>(null);

  private cursor = '';
  private pending: Row[] = []; // newest last
  private source: EventSource | null = null;
  private frame = 0;
  private retry = 0;
  private tries = 0;
  private clock = 0;
  private second = 0;
  private abort = new AbortController();

  constructor(readonly topic: string, readonly place: string) {}

  /** Loads the first page; without a place that is the newest events. */
  async open(): Promise<void> {
    this.clock = window.setInterval(() => {
      this.rate.value = this.second;
      this.second = 0;
    }, 1000);
    await this.page(this.place ? { after: this.place, limit: String(pageSize) } : { tail: String(pageSize) });
    if (this.problem.value) return;
    if (this.more.value) this.frozen.value = true;
    else this.listen();
  }

  close(): void {
    this.abort.abort();
    this.source?.close();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.retry);
    clearInterval(this.clock);
    if (connection.value === 'live' || connection.value === 'reconnecting') connection.value = 'ready';
  }

  freeze(on: boolean): void {
    this.frozen.value = on;
    if (on) return;
    this.more.value = false; // the stream brings them
    if (!this.source) this.listen();
    this.flush();
  }

  older = () => this.page({ tail: String(pageSize), before: this.before.value }, true);
  newer = () => this.page({ after: this.cursor, limit: String(pageSize) });

  private async page(query: Record<string, string>, older = false): Promise<void> {
    this.loading.value = true;
    try {
      const text = await (await send(`${topicPath(this.topic, 'events')}?${new URLSearchParams(query)}`, { signal: this.abort.signal })).text();
      const page = members(text);
      const rows = elements(page.get('events') ?? '[]').map(rowOf).reverse();
      const string = (name: string) => JSON.parse(page.get(name) ?? '""') as string;
      batch(() => {
        this.problem.value = null;
        if (older) {
          this.frozen.value ||= this.rows.value.length + rows.length > maxRows;
          this.keep([...this.rows.value, ...rows], true);
          this.before.value = string('before');
          return;
        }
        this.keep([...rows, ...this.rows.value]);
        this.cursor = string('cursor');
        this.more.value = page.get('more') === 'true';
        if (page.has('before')) this.before.value = string('before');
      });
    } catch (err) {
      if (!this.abort.signal.aborted) this.problem.value = problemOf(err);
    } finally {
      this.loading.value = false;
    }
  }

  /** Keeps so many rows, and lets go at the other end of where they came. */
  private keep(rows: Row[], newest = false): void {
    const over = rows.length - maxRows;
    if (over > 0) {
      this.dropped.value += over;
      rows = newest ? rows.slice(over) : rows.slice(0, maxRows);
      if (!newest) this.before.value = ''; // the page before would leave a hole
    }
    this.rows.value = rows;
  }

  private listen(): void {
    const source = new EventSource(streamURL(topicPath(this.topic, 'events'), { format: 'cloudevents', ...(this.cursor ? { after: this.cursor } : {}) }));
    this.source = source;
    source.onopen = () => {
      this.tries = 0;
      this.problem.value = null;
      connection.value = 'live';
    };
    source.onmessage = (e) => {
      this.cursor = e.lastEventId || this.cursor;
      this.second++;
      this.take(rowOf(e.data as string));
    };
    for (const [kind, text] of Object.entries(notices)) source.addEventListener(kind, () => this.take(noticeRow(text)));
    source.addEventListener('reset', () => void this.refill());
    source.onerror = () => {
      if (connection.value === 'live') connection.value = 'reconnecting';
      if (source.readyState === EventSource.CLOSED) void this.again(source);
    };
  }

  /** Shows what is stored after the stream began anew; what the stream has brought already comes once. */
  private async refill(): Promise<void> {
    try {
      const text = await (await send(`${topicPath(this.topic, 'events')}?tail=${pageSize}`, { signal: this.abort.signal })).text();
      const seen = new Set([...this.rows.value, ...this.pending].map((r) => r.id));
      for (const row of elements(members(text).get('events') ?? '[]').map(rowOf)) if (!seen.has(row.id)) this.take(row);
    } catch (err) {
      if (!this.abort.signal.aborted) this.problem.value = problemOf(err);
    }
  }

  /** A browser gives a stream up on any answer but a stream: find out why, and come back. */
  private async again(source: EventSource): Promise<void> {
    source.close();
    try {
      await json<Topic>(topicPath(this.topic), { signal: this.abort.signal });
      connection.value = 'reconnecting';
    } catch (err) {
      if (this.abort.signal.aborted) return;
      const problem = problemOf(err);
      if (problem.status > 0) this.problem.value = problem;
    }
    const wait = Math.min(1000 * 2 ** this.tries++, 15000) * (0.5 + Math.random());
    this.retry = window.setTimeout(() => this.listen(), wait);
  }

  private take(row: Row): void {
    this.pending.push(row);
    if (this.pending.length > maxRows) {
      this.dropped.value += this.pending.length - maxRows;
      this.pending = this.pending.slice(-maxRows);
    }
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.frozen.value) this.waiting.value = this.pending.length;
      else this.flush();
    });
  }

  private flush(): void {
    const rows = this.pending.reverse();
    this.pending = [];
    batch(() => {
      this.waiting.value = 0;
      if (rows.length) this.keep([...rows, ...this.rows.value]);
    });
  }
}
