import { useEffect, useMemo, useState } from 'preact/hooks';
import { json, problemOf, token, type Problem } from '../../api';
import { cli, Code, goMain, goString, sh, ts, type Snippet } from '../../code';
import { bytes, count, ms } from '../../format';
import { useKeys } from '../../keys';
import { place, setQuery } from '../../router';
import { Copy, Empty, ErrorPanel, Field, Tabs } from '../../ui';
import { FigureTable } from './figures';
import { Player } from './player';
import { Run, type Lane, type Message, type Request } from './run';
import { Sequence } from './sequence';

const number = (text: string | null, otherwise: number) => (text && /^\d+$/.test(text) ? Number(text) : otherwise);

/** What the address asks for. */
function requestIn(query: URLSearchParams, lanes: Lane[]): Request {
  const asked = query.get('lanes')?.split(',').filter((l) => lanes.some((x) => x.name === l));
  return {
    lanes: asked?.length ? asked : lanes.map((l) => l.name),
    seed: number(query.get('seed'), 1), events: number(query.get('events'), 5), size: number(query.get('size'), 64),
    duration: query.get('duration') || '10s', every: query.get('every') || '1s',
  };
}

/** The frame of all lanes. */
export function Lab() {
  const [lanes, setLanes] = useState<Lane[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [run, setRun] = useState<Run | null>(null);
  useEffect(() => {
    json<{ lanes: Lane[] }>('/lab/lanes').then((a) => { setLanes(a.lanes); setProblem(null); }, (err) => setProblem(problemOf(err)));
  }, [token.value]);
  useEffect(() => () => run?.stop(), [run]);
  const request = requestIn(place.value.query, lanes);
  const running = run?.running.value ?? false;
  const start = () => {
    const next = new Run(request);
    setRun(next);
    void next.go();
  };
  useKeys(() => [{ keys: 'r', does: 'run', run: () => { if (!running && lanes.length) start(); } }], [running, lanes.length, place.value]);
  const trouble = run?.problem.value ?? problem;
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Lab</h1>
        <span class="muted">one schedule of events, every way of delivery, measured on this server</span>
      </header>
      <Controls lanes={lanes} request={request} running={running} onRun={start} onStop={() => run?.stop()} />
      {trouble && trouble.status !== 401 && <ErrorPanel problem={trouble} />}
      {run ? <Result key={String(run.request.seed) + run.request.duration} run={run} lanes={lanes} /> : <Empty title="Nothing has run yet">Press Run: the lanes start together, and every arrow of the diagram is a message that went over a socket.</Empty>}
      <Code of={snippet(request)} />
    </div>
  );
}

function Controls({ lanes, request, running, onRun, onStop }: { lanes: Lane[]; request: Request; running: boolean; onRun: () => void; onStop: () => void }) {
  const input = (name: 'seed' | 'events' | 'size' | 'duration' | 'every', width: string) => ({
    class: `mono ${width}`, value: String(request[name]), disabled: running,
    onChange: (e: { currentTarget: { value: string } }) => setQuery({ [name]: e.currentTarget.value.trim() }, true),
  });
  const toggle = (name: string, on: boolean) => {
    const chosen = lanes.map((l) => l.name).filter((l) => (l === name ? on : request.lanes.includes(l)));
    setQuery({ lanes: chosen.length === lanes.length ? '' : chosen.join(',') }, true);
  };
  return (
    <form class="controls" onSubmit={(e) => { e.preventDefault(); if (!running) onRun(); }}>
      <fieldset class="lanes" disabled={running}>
        <legend class="label">Lanes</legend>
        {lanes.map((l) => {
          const on = request.lanes.includes(l.name);
          return <label key={l.name} class="check" title={l.summary}><input type="checkbox" checked={on} disabled={on && request.lanes.length === 1} onChange={(e) => toggle(l.name, e.currentTarget.checked)} />{l.title}</label>;
        })}
      </fieldset>
      <Field label="Events"><input inputMode="numeric" {...input('events', 'w4')} /></Field>
      <Field label="Bytes each"><input inputMode="numeric" {...input('size', 'w4')} /></Field>
      <Field label="Within"><input {...input('duration', 'w4')} /></Field>
      <Field label="Poll every"><input {...input('every', 'w4')} /></Field>
      <Field label="Seed"><input inputMode="numeric" {...input('seed', 'w4')} /></Field>
      {running ? <button type="button" onClick={onStop}>Stop</button> : <button class="primary" disabled={!lanes.length} title="r">Run</button>}
    </form>
  );
}

function Result({ run, lanes }: { run: Run; lanes: Lane[] }) {
  const [now, setNow] = useState(Infinity);
  const [view, setView] = useState<'diagram' | 'table'>('diagram');
  const [picked, pick] = useState<Message | null>(null);
  const trace = run.trace.value, end = run.end.value;
  const titles = useMemo(() => Object.fromEntries([['publisher', 'Publisher'], ...lanes.map((l) => [l.name, l.title])]) as Record<string, string>, [lanes]);
  const columns = useMemo(() => ['publisher', ...run.request.lanes].map((l) => [l, titles[l] ?? l] as [string, string]), [run, titles]);
  return (
    <>
      {run.running.value && <p class="running" role="status"><span class="dot" aria-hidden="true" />Running for {run.request.duration}: {count(trace.length)} messages so far</p>}
      {end && <FigureTable figures={end.figures} titles={titles} request={run.start.value?.request ?? run.request} />}
      <section class="panel trace" aria-label="Messages">
        <div class="toolbar">
          <Tabs label="View" tabs={[['diagram', 'Diagram'], ['table', 'Table']]} value={view} onChange={setView} />
          <span class="spring" />
          {!run.running.value && <Player run={run} now={now} onNow={setNow} />}
        </div>
        <div class={picked ? 'split open' : 'split'}>
          {view === 'diagram' ? <Sequence trace={trace} lanes={columns} now={now} running={run.running.value} selected={picked} onSelect={pick} /> : <TraceTable trace={trace} titles={titles} now={now} onSelect={pick} />}
          {picked && <Wire m={picked} title={titles[picked.lane] ?? picked.lane} onClose={() => pick(null)} />}
        </div>
        {!!end?.truncated && <p class="muted small pad">{count(end.truncated)} more messages were counted and are not shown.</p>}
      </section>
    </>
  );
}

/** One message as it went over the wire. */
function Wire({ m, title, onClose }: { m: Message; title: string; onClose: () => void }) {
  return (
    <aside class="detail" aria-label="Message">
      <header><h2>{m.label}</h2><button class="quiet icon" aria-label="Close the message" onClick={onClose}>×</button></header>
      <dl class="attributes">
        <div><dt>lane</dt><dd>{title}, connection {m.conn}</dd></div>
        <div><dt>from</dt><dd>{m.server ? 'server' : 'client'}</dd></div>
        <div><dt>at</dt><dd>{ms(m.t)} ms</dd></div>
        <div><dt>bytes</dt><dd>{count(m.bytes)}</dd></div>
        {!!m.events && <div><dt>events</dt><dd>{m.events}</dd></div>}
      </dl>
      <div class="detail-bar"><span class="label">On the wire</span><span class="spring" /><Copy text={() => m.raw} /></div>
      <div class="data" tabIndex={0}><pre>{m.raw}</pre></div>
    </aside>
  );
}

const tableRows = 500;

/** The same messages for a screen reader, and for whoever likes tables. */
function TraceTable({ trace, titles, now, onSelect }: { trace: Message[]; titles: Record<string, string>; now: number; onSelect: (m: Message) => void }) {
  const seen = trace.filter((m) => m.t <= now).sort((a, b) => a.t - b.t);
  return (
    <div class="sequence">
      <table class="grid dense">
        <thead><tr><th scope="col" class="num">ms</th><th scope="col">Lane</th><th scope="col">From</th><th scope="col">Message</th><th scope="col" class="num">Bytes</th></tr></thead>
        <tbody>
          {seen.slice(0, tableRows).map((m, i) => (
            <tr key={i}><td class="num">{ms(m.t)}</td><td>{titles[m.lane]}</td><td>{m.server ? 'server' : 'client'}</td><td><button class="link" onClick={() => onSelect(m)}>{m.label}</button></td><td class="num" title={bytes(m.bytes)}>{count(m.bytes)}</td></tr>
          ))}
        </tbody>
      </table>
      {seen.length > tableRows && <p class="muted small pad">The first {count(tableRows)} of {count(seen.length)} messages.</p>}
    </div>
  );
}

/** What one lane does, without the lab. */
function snippet(r: Request): Snippet {
  const lane = r.lanes[0]!, topic = 'orders';
  const over = { short: 'short-poll', long: 'long-poll', sse: 'sse', websocket: 'websocket' }[lane] ?? 'sse';
  const name = { short: 'ShortPoll', long: 'LongPoll', sse: 'SSE', websocket: 'WebSocket' }[lane] ?? 'SSE';
  const body = JSON.stringify(r);
  return {
    cli: r.lanes.map((l) => cli(`parley sub ${topic} --over ${{ short: `short-poll --every ${r.every}`, long: 'long-poll', sse: 'sse', websocket: 'websocket' }[l] ?? over}`)).join('\n'),
    curl: `curl -N${token.value ? ' -H "Authorization: Bearer $TOKEN"' : ''} ${location.origin}/lab/run \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    go: goMain(`for got, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{${goString(topic)}}, Over: client.${name}}) {
	if err != nil {
		return err
	}
	fmt.Printf("%s\\n", got.Data)
}`),
    ts: `const res = await fetch(${ts(`${location.origin}/lab/run`)}, {
  method: "POST",
  headers: { "Content-Type": "application/json"${token.value ? ', Authorization: `Bearer ${token}`' : ''} },
  body: ${ts(body)},
});
// a line of JSON for the start, each part of the trace, and the figures
const lines = (await res.text()).trim().split("\\n").map((l) => JSON.parse(l));`,
  };
}
