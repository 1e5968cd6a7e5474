import assert from 'node:assert/strict';
import { test } from 'node:test';
import { merged, named, type Span } from '../src/screens/lab/queuerun';
import type { Message } from '../src/screens/lab/run';
import { away, filterBody, fits, jobsOf, lasting, moment, preview, retrying, schedulesOf, short, type Filter, type Job, type Stats } from '../src/screens/queues/model';
import { areas, ceiling, pace, sampled, spanOf, type Sample } from '../src/screens/queues/samples';
import { bodyOf, jobWith } from '../src/screens/queues/schedules';
import { changes, draftOf } from '../src/screens/queues/settings';
import { enqueue, jobText, redrive, showJob, type JobDraft } from '../src/screens/queues/snippets';
import { timeline } from '../src/screens/queues/timeline';

const stats = (ready: number, done = 0, enqueued = 0, leased = 0, delayed = 0) => ({ ready, delayed, leased, dead: 0, enqueued, done, groups: 0, waiting: 0 }) as Stats;

test('looks are kept for five minutes, and begin anew with the queue', () => {
  let all: Sample[] = [];
  for (let t = 0; t <= 400_000; t += 500) all = sampled(all, stats(5, t / 500, t / 500), t);
  assert.equal(all.length, 602); // one more than five minutes, so that the area has an edge
  assert.equal(all[all.length - 1]!.at, 400_000);
  assert.equal(sampled(all, stats(1, 0, 1), 400_500).length, 1);
});

test('the pace is that of the last five seconds, and says how long the backlog lasts', () => {
  let all: Sample[] = [];
  for (let t = 0; t <= 20_000; t += 500) all = sampled(all, stats(10_000 - t / 10, t / 10, t < 10_000 ? t : 10_000), t);
  assert.deepEqual(pace(all), { done: 100, enqueued: 0, left: 80_000 });
  assert.deepEqual(pace(all.slice(0, 1)), { done: 0, enqueued: 0, left: null });
  assert.equal(pace(all.slice(0, 15)).left, null); // it grows
});

test('scales and spans', () => {
  assert.deepEqual([0, 1, 3, 10, 11, 51, 99_999, 100_000, 100_001].map(ceiling), [1, 1, 5, 10, 20, 100, 100_000, 100_000, 200_000]);
  assert.deepEqual([0, 30_000, 30_001, 120_000, 120_001, 9e9].map(spanOf), [30_000, 30_000, 60_000, 120_000, 300_000, 300_000]);
});

test('areas are stacked, and last until the next look', () => {
  const all = sampled(sampled([], stats(10, 0, 0, 2, 1), 1000), stats(4, 6, 0, 3, 0), 2000);
  assert.deepEqual(areas(all, 0), [
    { series: 'leased', d: 'M10 2L20 3L120 3L120 0L20 0L10 0Z' },
    { series: 'ready', d: 'M10 12L20 7L120 7L120 3L20 3L10 2Z' },
    { series: 'delayed', d: 'M10 13L20 7L120 7L120 7L20 7L10 12Z' },
  ]);
  assert.deepEqual(areas([], 0), []);
});

const big = '{"jobs":[{"id":"7","state":"ready","enqueued":"2026-11-24T11:00:00Z","priority":0,"attempts":0,"event":{"id":"e","type":"t","data":{"n":12345678901234567890}}},{"id":"8","state":"ready","enqueued":"2026-11-24T11:00:00Z","priority":9,"attempts":0,"event":{"datacontenttype":"text/plain","data":"a\\nb"}}],"next":"8"}';

test('data of jobs keeps every digit', () => {
  const { jobs, next } = jobsOf(big);
  assert.equal(next, '8');
  assert.deepEqual(jobs.map(preview), ['{"n":12345678901234567890}', 'a\nb']);
  assert.deepEqual(jobsOf('{"jobs":[]}'), { jobs: [], next: '' });
});

test('a schedule is put back as it was, but for what is changed', () => {
  const [s] = schedulesOf('{"schedules":[{"name":"n","cron":"@daily","zone":"UTC","missed":"once","job":{"event":{"type":"t","datacontenttype":"application/json","data":12345678901234567890},"priority":3},"next":"2026-11-24T23:00:00Z","updated":"2026-11-24T11:00:00Z"}]}');
  assert.equal(bodyOf({ ...s!, paused: true }), '{"cron":"@daily","zone":"UTC","missed":"once","paused":true,"job":{"event":{"type":"t","datacontenttype":"application/json","data":12345678901234567890},"priority":3}}');
  assert.equal(jobWith(s!.job, { name: 'n', cron: '', zone: '', missed: '', data: 'hello', priority: '0', unique: 'u' }), '{"event":{"type":"t","datacontenttype":"text/plain; charset=utf-8","data":"hello"},"unique":"u"}');
  assert.equal(jobWith('{}', { name: 'n', cron: '', zone: '', missed: '', data: ' {"a": 1} ', priority: '5', unique: '' }), '{"event":{"data":{"a": 1},"datacontenttype":"application/json"},"priority":5}');
});

const now = +new Date('2026-11-24T12:00:00Z');

test('times in words', () => {
  assert.deepEqual([0, 340, 5200, 61_000, 200_000, 8e6, 3e8].map(lasting), ['0 ms', '340 ms', '5.2 s', '61 s', '3 min', '2 h', '3 d']);
  assert.equal(away('2026-11-24T12:00:05Z', now), 'in 5.0 s');
  assert.equal(away('2026-11-24T11:00:00Z', now), '60 min ago');
  assert.equal(away(undefined, now), '');
  assert.match(moment('2026-10-24T12:00:05Z', now), /^2026-10-2\d \d\d:\d\d:05$/);
  assert.equal(moment('', now), '');
  assert.deepEqual(['15m0s', '1h0m0s', '1m30s', '90s', '720h0m0s', undefined].map(short), ['15m', '1h', '1m30s', '90s', '720h', '']);
  assert.equal(retrying({ kind: 'exponential', delay: '1s', max: '15m0s', jitter: 0.2 }), '1s, doubled up to 15m ± 20 %');
  assert.equal(retrying({ kind: 'list', delays: ['1s', '1m0s'], jitter: -1 }), 'after 1s, 1m');
});

const job = (more: Partial<Job>): Job => ({ id: '1', state: 'ready', enqueued: '2026-11-24T11:59:00Z', priority: 0, attempts: 0, event: '', ...more });
const titles = (j: Job, end: Parameters<typeof timeline>[1] = null) => timeline(j, end, now, 20).map((s) => `${s.tone}|${s.title}|${s.details.join('; ')}`);

test('a job’s life, in each state', () => {
  assert.deepEqual(titles(job({ key: 'shop', unique: 'u', priority: 4 })), ['|Enqueued|priority 4; key shop; unique u', 'warn|Waits for a worker|']);
  assert.deepEqual(titles(job({ state: 'delayed', due: '2026-11-24T12:01:00Z' })), ['|Enqueued|', 'warn|Rests; ready in 60 s|']);
  const failed = { number: 1, worker: 'ann', began: '2026-11-24T11:59:10Z', ended: '2026-11-24T11:59:12Z', cause: 'SMTP 451' };
  const silent = { number: 2, worker: 'ben', began: '2026-11-24T11:59:20Z', ended: '2026-11-24T11:59:50Z', cause: 'lease expired' };
  assert.deepEqual(titles(job({ state: 'delayed', due: '2026-11-24T12:00:08Z', attempts: 2, max_attempts: 3, history: [failed, silent] })), [
    '|Enqueued|', 'bad|Attempt 1 by ann failed after 2.0 s|SMTP 451', 'bad|Attempt 2 by ben failed after 30 s|its lease ran out: the worker neither settled nor extended it in time', 'warn|Next try in 8.0 s|2 of 3 attempts',
  ]);
  const busy = job({ state: 'leased', due: '2026-11-24T12:00:20Z', attempts: 1, history: [{ number: 1, worker: 'ann', began: '2026-11-24T11:59:58Z' }], progress: { progress: 0.4, note: 'half of it', at: '' } });
  assert.deepEqual(titles(busy), ['|Enqueued|', 'now|Attempt 1 by ann, under way|half of it; its lease ends in 20 s']);
  assert.equal(timeline(busy, null, now, 20)[1]!.progress, 0.4);
  assert.deepEqual(titles(busy, { state: 'done', text: '{}' }), ['|Enqueued|', 'good|Attempt 1 by ann|', 'good|Done|']);
  assert.deepEqual(titles(job({ attempts: 1, history: [failed] }), { state: 'done', note: 'without a result' }).slice(-1), ['good|Done|without a result; in an attempt that was over before this page looked']);
  assert.deepEqual(titles(busy, { state: 'canceled', note: 'the job is canceled' }), ['|Enqueued|', '|Attempt 1 by ann|', 'warn|Canceled|the job is canceled']);
  assert.deepEqual(titles(job({ state: 'dead', died: '2026-11-24T11:59:12Z', attempts: 1, reason: 'SMTP 451', history: [failed] })), ['|Enqueued|', 'bad|Attempt 1 by ann failed after 2.0 s|SMTP 451', 'bad|Dead after 1 attempt|']);
  assert.deepEqual(titles(job({ state: 'dead', died: '2026-11-24T11:59:12Z', attempts: 30, reason: 'too many attempts', history: [{ ...failed, number: 11 }] })).slice(1), ['|Attempts 1 to 10 are not remembered|', 'bad|Attempt 11 by ann failed after 2.0 s|SMTP 451', 'bad|Dead after 30 attempts|too many attempts']);
});

test('the filter of dead jobs selects as the server does', () => {
  const dead = job({ state: 'dead', reason: 'connection timeout', key: 'shop', died: '2026-11-24T11:30:00Z', history: [{ number: 1, worker: 'ann', began: '' }, { number: 2, worker: 'ben', began: '' }] });
  const fit = (f: Partial<Filter>) => fits(dead, { reason: '', worker: '', key: '', since: '', ...f }, now);
  assert.deepEqual([fit({}), fit({ reason: 'timeout' }), fit({ reason: 'Timeout' }), fit({ worker: 'ben' }), fit({ worker: 'ann' }), fit({ key: 'sho' }), fit({ since: '10m' }), fit({ since: '1h' })], [true, true, false, true, false, false, false, true]);
  const f: Filter = { reason: 'timeout', worker: '', key: '', since: '1h' };
  assert.deepEqual(filterBody(f, now), { reason: 'timeout', since: '2026-11-24T11:00:00.000Z' });
  assert.equal(redrive('emails', f, {}).cli, 'parley queue redrive emails --reason timeout --since 1h --server http://127.0.0.1:7399');
  assert.match(redrive('emails', { reason: '', worker: '', key: '', since: '' }, {}).cli, /redrive emails --all/);
});

test('code for a job is what can be done in its state', () => {
  const commands = (state?: Job['state']) => showJob('emails', '7', state).cli.replaceAll(' --server http://127.0.0.1:7399', '').split('\n');
  assert.deepEqual(commands('delayed'), ['parley queue show emails 7', 'parley queue reschedule emails 7 --delay 10m', 'parley queue cancel emails 7']);
  assert.deepEqual(commands('leased'), ['parley queue show emails 7', 'parley queue cancel emails 7']);
  assert.deepEqual(commands('dead'), ['parley queue show emails 7', 'parley queue redrive emails --id 7']);
  assert.deepEqual(commands(), ['parley queue show emails 7', 'parley queue result emails 7']);
  assert.match(showJob('emails', '7', 'dead').curl, /redrive \\\n {2}-H 'Content-Type: application\/json' \\\n {2}-d '\{"ids":\["7"\]\}'$/);
});

test('settings that stay are not sent', () => {
  const from = draftOf({ max_attempts: 20, visibility: '30s', retry: { kind: 'exponential', delay: '1s', max: '15m0s', jitter: 0.2 }, concurrency: 0, rate: '', dead_letter: '', results: '' });
  assert.deepEqual(changes(from, from), {});
  assert.deepEqual(changes({ ...from, max_attempts: '5', feed: 'orders.> shop.*' }, from), { max_attempts: 5, feed: ['orders.>', 'shop.*'] });
  assert.deepEqual(changes({ ...from, kind: 'list', delays: '1s, 1m 1h', jitter: '0' }, from), { retry: { kind: 'list', delays: ['1s', '1m', '1h'], jitter: -1 } });
});

const draft: JobDraft = { data: '{"n": 12345678901234567890}', type: '', delay: '', priority: '0', key: '', unique: '', max_attempts: '', times: '1' };

test('a job is sent as it was typed', () => {
  assert.equal(jobText(draft), '{"data":{"n": 12345678901234567890}}');
  assert.equal(jobText({ ...draft, data: 'it’s', delay: '5s', priority: '9', key: 'k', unique: 'u', max_attempts: '-1' }), '{"event":{"datacontenttype":"text/plain; charset=utf-8","data":"it’s"},"delay":"5s","priority":9,"key":"k","unique":"u","max_attempts":-1}');
  assert.equal(enqueue('emails', { ...draft, priority: '5', key: "it's" }).cli, `parley queue push emails '{"n": 12345678901234567890}' --priority 5 --key 'it'\\''s' --server http://127.0.0.1:7399`);
  assert.match(enqueue('emails', { ...draft, times: '100000' }).cli, /^yes .* \| head -n 100000 \| parley queue push emails - --ndjson/);
});

test('messages of workers are called by what they do', () => {
  const m = (kind: Message['kind'], label: string, raw: string): Message => ({ t: 0, lane: 'one/ann', conn: 1, server: kind === 'response', kind, label, bytes: 1, raw });
  assert.deepEqual([
    m('request', 'POST /v1/queues/lab.x.one/lease', ''), m('request', 'POST /v1/queues/lab.x.one/settle', 'POST …\n\n{"settlements":[{"action":"ack"}]}'), m('request', 'POST /v1/queues/lab.x.one/jobs', ''),
    m('response', '200 OK', 'HTTP/1.1 200 OK\n\n{"jobs":[{"lease":"q~t","id":"9","event":{"data":{"job":9,"work":"5ms"}},"attempt":2}]}'), m('response', '200 OK', 'HTTP/1.1 200 OK\n\n{"jobs":[]}'),
    m('response', '201 Created', 'HTTP/1.1 201 Created\n\n{"jobs":[{"id":"1"}]}'), m('response', '403 Forbidden', 'HTTP/1.1 403 Forbidden\n\n{"jobs":[]}'),
  ].map((x) => named(x).label), ['lease', 'ack', 'enqueue', 'job 9, attempt 2', 'no job', '201 Created', '403 Forbidden']);
});

test('the end of a span takes the place of its beginning', () => {
  const a: Span = { lane: 'one', worker: 'ann', job: 1, attempt: 1, began: 0 }, b: Span = { ...a, ended: 5, end: 'crashed' }, c: Span = { ...a, attempt: 2, began: 9 };
  assert.deepEqual(merged([a], [b, c]), [b, c]);
  assert.deepEqual(merged([], [a, c, b]), [b, c]);
});
