import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueOf, ways, type Mark } from '../src/screens/lab/piperun';
import { Run, type Kind, type Message } from '../src/screens/lab/run';
import { arrange, failures } from '../src/screens/pipes/layout';
import { givenName, partsOf, stateOf, took, type Edge, type Explained, type Stats } from '../src/screens/pipes/model';
import { paces, sampled, type Sample } from '../src/screens/pipes/samples';
import { putPipe, setPipe, tapStep } from '../src/screens/pipes/snippets';
import { Stream } from '../src/screens/pipes/sse';
import { recordOf, Tap } from '../src/screens/pipes/tap';

/** A graph as the server tells it, from paths and the ways between them. */
function told(paths: string, ways: string): [Explained[], Edge[]] {
  const steps = paths.split(' ').map((path) => ({ path, brief: `kind of ${path}`, does: '', keeps: 'nothing', depth: (path.match(/[a-z]/g) ?? []).length ? 1 : 0 }));
  return [steps, ways.split(' ').filter(Boolean).map((w) => { const [from, to] = w.split('>'); return { from: from!, to: to! }; })];
}
const places = (d: ReturnType<typeof arrange>) => Object.fromEntries(d.nodes.map((n) => [n.step.path, [n.column, n.row]]));

test('a chain is a row, and what branches off is below it', () => {
  const d = arrange(...told('1 2 2.to1.1 2.to1.2 3 3.to1.1 4 dead.1', '1>2 2>2.to1.1 2.to1.1>2.to1.2 2>3 3>3.to1.1 3>4'));
  assert.deepEqual(places(d), { 1: [0, 0], 2: [1, 0], 3: [2, 0], 4: [3, 0], '3.to1.1': [3, 1], '2.to1.1': [2, 2], '2.to1.2': [3, 2], [failures]: [0, 3], 'dead.1': [1, 3] });
  assert.deepEqual([d.columns, d.rows], [4, 4]);
  assert.deepEqual(d.nodes.filter((n) => n.source).map((n) => n.step.path), ['1', failures]);
  assert.deepEqual(d.nodes.filter((n) => n.sink).map((n) => n.step.path), ['2.to1.2', '3.to1.1', '4', 'dead.1']);
  assert.ok(d.edges.some((e) => e.from === failures && e.to === 'dead.1'));
});

test('branches that do not meet share a row', () => {
  const d = arrange(...told('1 2 2.to1.1 3 4 4.to1.1 5', '1>2 2>2.to1.1 2>3 3>4 4>4.to1.1 4>5'));
  assert.deepEqual([places(d)['2.to1.1'], places(d)['4.to1.1'], d.rows], [[2, 1], [4, 1], 2]);
});

test('what is merged comes together before the merge', () => {
  const d = arrange(...told('1 1.1.1 1.2.1 1.2.2 2', '1.1.1>1 1.2.1>1.2.2 1.2.2>1 1>2'));
  assert.deepEqual(places(d), { 1: [2, 0], '1.1.1': [0, 0], '1.2.1': [0, 1], '1.2.2': [1, 1], 2: [3, 0] });
});

test('no step lies on another, and no way goes through a step', () => {
  let random = 7;
  const next = (n: number) => (random = (random * 48271) % 2147483647) % n;
  for (let turn = 0; turn < 300; turn++) {
    const steps: string[] = [], edges: string[] = [];
    const chain = (prefix: string, before: string, depth: number) => {
      for (let i = 1, last = before; i <= 1 + next(5); i++) {
        const path = prefix + i;
        steps.push(path);
        if (last) edges.push(`${last}>${path}`);
        for (let b = 1; depth < 3 && i > 1 && b <= next(3); b++) chain(`${path}.to${b}.`, path, depth + 1);
        last = path;
      }
    };
    chain('', '', 0);
    const d = arrange(...told(steps.join(' '), edges.join(' '))), at = new Map(d.nodes.map((n) => [n.step.path, n]));
    assert.equal(new Set(d.nodes.map((n) => `${n.column} ${n.row}`)).size, d.nodes.length);
    for (const e of d.edges) {
      const from = at.get(e.from)!, to = at.get(e.to)!;
      assert.ok(to.column === from.column + 1 && to.row >= from.row, `${e.from} ${e.to}`);
      if (from.row === to.row) continue; // down left of to, and then into it
      for (const o of d.edges) {
        const a = at.get(o.from)!, b = at.get(o.to)!;
        const across = a.row === b.row && a.row > from.row && a.row < to.row && b.column === to.column;
        assert.ok(!across, `${e.from}>${e.to} crosses ${o.from}>${o.to} in ${steps.join(' ')}`);
      }
    }
  }
});

const stats = (n: number, since = 'a', out = n): Stats => ({ state: 'running', since, in: n, out, dead: n / 10, lag: 0, commits: 1, commit_us: 1, state_bytes: 0, steps: [{ path: '2', name: 'x', kind: 'where', in: n, out, errors: n / 10, us: 1, max_us: 2 }] });

test('a pace is of the last seconds, and begins anew with the counts', () => {
  let all: Sample[] = [];
  assert.equal(paces(all).known, false);
  for (let i = 0; i <= 20; i++) all = sampled(all, stats(i * 100, 'a', i * 50), i * 1000);
  assert.ok(all.length <= 7);
  const p = paces(all);
  assert.deepEqual([p.known, p.whole.in, p.whole.out, p.dead, p.steps.get('2')], [true, 100, 50, 10, { in: 100, out: 50, errors: 10 }]);
  assert.equal(sampled(all, stats(2100, 'b'), 21_000).length, 1); // another owner
  assert.equal(sampled(all, stats(7), 21_000).length, 1); // counts that are less
});

test('an event stream in any pieces', () => {
  const text = ': begun\n\nevent: dropped\ndata: {"dropped": 3}\n\ndata: {"a":\ndata: 1}\n\n:\n\ndata: x\n\n';
  for (let size = 1; size < text.length; size++) {
    const stream = new Stream(), got = [];
    for (let i = 0; i < text.length; i += size) got.push(...stream.take(text.slice(i, i + size)));
    assert.deepEqual(got, [{ type: 'dropped', data: '{"dropped": 3}' }, { type: 'message', data: '{"a":\n1}' }, { type: 'message', data: 'x' }]);
  }
});

test('a record of a tap keeps the numbers as they are written', () => {
  const event = (data: string) => `{"specversion":"1.0","id":"1","source":"/a","type":"t","datacontenttype":"application/json","data":${data}}`;
  const r = recordOf(`{"number": 7, "time": "2026-01-01T00:00:00Z", "step": "2", "before": ${event('{"n":12345678901234567890}')}, "after": [${event('1.0')}, ${event('2')}]}`);
  assert.deepEqual([r.time.getTime(), r.before?.data, r.after.map((a) => a.data), r.failed], [Date.UTC(2026, 0), '{"n":12345678901234567890}', ['1.0', '2'], undefined]);
  const failed = recordOf('{"number": 8, "time": "2026-01-01T00:00:00Z", "step": "2", "failed": {"code": "INVALID", "cause": "no", "attempts": 2}}');
  assert.deepEqual([failed.before, failed.after, failed.failed?.attempts], [null, [], 2]);
  assert.notEqual(failed.key, r.key);
});

test('figures and names', () => {
  assert.deepEqual([0, 0.84, 9.96, 88.4, 999, 1234, 45_600, 2_000_000].map(took), ['', '0.8 µs', '10.0 µs', '88 µs', '999 µs', '1.2 ms', '46 ms', '2.0 s']);
  assert.deepEqual([partsOf('where data.n > 1'), partsOf('tee')], [['where', 'data.n > 1'], ['tee', '']]);
  assert.deepEqual([givenName({ path: '2', name: '2 (where)' }), givenName({ path: '2', name: 'big' }), givenName({ path: '2' })], ['', 'big', '']);
  assert.equal(stateOf({ name: 'a', state: 'running', revision: 1 }, { ...stats(1), state: 'failing' }), 'failing');
  assert.equal(stateOf({ name: 'a', state: 'paused', revision: 1 }, null), 'paused');
  assert.equal(stateOf({ name: 'a', state: 'running', revision: 1, problems: [{ detail: 'x' }] }, stats(1)), 'failing');
});

test('what is copied does what the page does', () => {
  assert.match(putPipe('big', "steps: 'a'", true).curl, /-X PUT 'http:\/\/127\.0\.0\.1:7399\/v1\/pipes\/big\?drain=true' /);
  assert.match(putPipe('big', 'a: "b"\n', false).go, /\[\]byte\(`a: "b"\n`\)/);
  assert.match(setPipe('big', 'start').cli, /^parley pipe resume big /);
  assert.match(tapStep('big', '2.to1.1').curl, /tap\?step=2\.to1\.1/);
});

const mark = (stage: string, way: 'in' | 'out', event: number, at: number): Mark => ({ lane: 'a', stage, way, event, at });

test('the way of an event, and what waits before a stage', () => {
  const marks = [mark('source', 'out', 1, 0), mark('work', 'in', 1, 0), mark('source', 'out', 2, 0), mark('source', 'out', 3, 5), mark('work', 'out', 1, 10), mark('work', 'in', 2, 10), mark('sink', 'in', 1, 11), mark('work', 'in', 3, 12), mark('work', 'out', 3, 13), mark('sink', 'in', 3, 13), mark('work', 'out', 2, 20), mark('sink', 'in', 2, 20)];
  assert.deepEqual(ways(marks).map((w) => [w.event, w.gave, w.works[0], w.took, w.overtaken]), [
    [1, 0, { stage: 'work', began: 0, ended: 10 }, 11, false], [2, 0, { stage: 'work', began: 10, ended: 20 }, 20, true], [3, 5, { stage: 'work', began: 12, ended: 13 }, 13, false],
  ]);
  assert.deepEqual(queueOf(marks, 'source', 'work'), [[0, 1], [5, 2], [10, 1], [12, 0]]);
  assert.equal(ways(marks.slice(0, 4))[2]!.took, undefined);
});

/** Answers the next request with text in pieces. */
function answer(pieces: string[], status = 200, media = 'application/x-ndjson') {
  const body = new ReadableStream<Uint8Array>({
    start(c) {
      for (const p of pieces) c.enqueue(new TextEncoder().encode(p));
      c.close();
    },
  });
  globalThis.fetch = () => Promise.resolve(new Response(body, { status, headers: { 'Content-Type': media } }));
}

test('a run tells its lines, whatever they are called', async () => {
  const kind: Kind<number> = { path: '/lab/x', opening: 'x_opening', news: 'xs', closing: 'x_closing', add: (all, more) => [...more, ...all], message: (m) => ({ ...m, label: 'named' }) };
  const make = () => new Run<object, { a: number }, number, string>(kind, {});
  let run = make();
  answer(['{"x_opening": {"a": 1}}\n{"xs": [1', ', 2]}\n', '{"xs": [3], "trace": [{"label": "x"}]}\n{"x_closing": {"figures": ["f"]}}\n']);
  await run.go();
  assert.deepEqual([run.opening.value, run.news.value, run.closing.value?.figures, run.problem.value, run.running.value], [{ a: 1 }, [3, 1, 2], ['f'], null, false]);
  assert.deepEqual(run.trace.value, [{ label: 'named' } as Message]);
  run = make();
  answer(['{"x_opening": {"a": 1}}\n']);
  await run.go();
  assert.equal(run.problem.value?.title, 'The run broke off');
  run = make();
  answer(['{"x_opening": {"a": 1}}\n{"error": {"status": 403, "title": "no"}}\n']);
  await run.go();
  assert.equal(run.problem.value?.status, 403);
  run = make();
  answer(['{"status": 503, "title": "Overloaded", "detail": "another run is under way"}'], 503, 'application/problem+json');
  await run.go();
  assert.deepEqual([run.problem.value?.detail, run.running.value], ['another run is under way', false]);
});

test('a tap counts what is not shown, rests while it is frozen, and tells why it was refused', async () => {
  globalThis.window = globalThis as never; // timers
  const record = (n: number) => `data: {"number": 1, "time": "2026-01-01T00:00:${n}Z", "step": "2", "after": []}\n\n`;
  const seconds = () => tap.records.value.map((r) => r.time.getUTCSeconds());
  const tap = new Tap('p', '2');
  answer([record(10), 'event: dropped\ndata: {"dropped": 41}\n\n', record(43)], 200, 'text/event-stream');
  await tap.listen();
  assert.deepEqual([seconds(), tap.shown.value, tap.dropped.value, tap.open.value], [[43, 10], 2, 41, false]);
  tap.freeze(true);
  answer([record(44)], 200, 'text/event-stream');
  await tap.listen();
  assert.equal(tap.records.value.length, 2);
  tap.freeze(false);
  assert.deepEqual(seconds(), [44, 43, 10]);
  answer(['{"status": 403, "title": "Forbidden", "detail": "the scope admin:p is missing"}'], 403, 'application/problem+json');
  await tap.listen();
  assert.equal(tap.problem.value?.status, 403);
  tap.clear();
  assert.deepEqual([tap.records.value.length, tap.dropped.value], [0, 0]);
  tap.close();
});
