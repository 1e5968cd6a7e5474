import { useEffect, useMemo, useState } from 'preact/hooks';
import { json, problemOf, token, type Problem } from '../../api';
import { cli, Code, goMain, goString, sh, ts, type Snippet } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel, Field, Tabs } from '../../ui';
import { FigureTable } from './figures';
import { GroupLab } from './groups';
import type { Reader } from './grouprun';
import { LimitLab } from './limits';
import type { Experiment } from './limitrun';
import { Messages } from './messages';
import { QueueLab } from './queue';
import type { Crew } from './queuerun';
import { Run, type Lane, type Request } from './run';

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

interface About { lanes: Lane[]; limits: Experiment[]; crews: Crew[]; readers: Reader[] }

/** What there is to run, one kind at a time. */
export function Lab() {
  const [about, setAbout] = useState<About>({ lanes: [], limits: [], crews: [], readers: [] });
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    json<About>('/lab/lanes').then((a) => { setAbout(a); setProblem(null); }, (err) => setProblem(problemOf(err)));
  }, [token.value]);
  const asked = place.value.query.get('show');
  const shown = about.limits.find((e) => e.name === asked);
  const kinds = [['', 'Delivery'], ...about.limits.map((e) => [e.name, e.title]), ['queue', 'Work queue'], ['groups', 'Groups']] as [string, string][];
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Lab</h1>
        <Tabs label="Experiment" tabs={kinds} value={shown?.name ?? (asked === 'queue' || asked === 'groups' ? asked : '')} onChange={(name) => go(to(['lab'], { show: name }))} />
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {asked === 'groups' ? <GroupLab readers={about.readers} /> : asked === 'queue' ? <QueueLab crews={about.crews} /> : shown ? <LimitLab key={shown.name} experiment={shown} /> : <Delivery lanes={about.lanes} />}
    </div>
  );
}

/** One schedule of events through every way of delivery. */
function Delivery({ lanes }: { lanes: Lane[] }) {
  const [run, setRun] = useState<Run | null>(null);
  useEffect(() => () => run?.stop(), [run]);
  const request = requestIn(place.value.query, lanes);
  const running = run?.running.value ?? false;
  const start = () => {
    const next = new Run(request);
    setRun(next);
    void next.go();
  };
  useKeys(() => [{ keys: 'r', does: 'run', run: () => { if (!running && lanes.length) start(); } }], [running, lanes.length, place.value]);
  const trouble = run?.problem.value;
  return (
    <>
      <p class="muted">One schedule of events, every way of delivery, measured on this server.</p>
      <Controls lanes={lanes} request={request} running={running} onRun={start} onStop={() => run?.stop()} />
      {trouble && trouble.status !== 401 && <ErrorPanel problem={trouble} />}
      {run ? <Result key={String(run.request.seed) + run.request.duration} run={run} lanes={lanes} /> : <Empty title="Nothing has run yet">Press Run: the lanes start together, and every arrow of the diagram is a message that went over a socket.</Empty>}
      <Code of={snippet(request)} />
    </>
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
  const trace = run.trace.value, end = run.end.value;
  const titles = useMemo(() => Object.fromEntries([['publisher', 'Publisher'], ...lanes.map((l) => [l.name, l.title])]) as Record<string, string>, [lanes]);
  const columns = useMemo(() => ['publisher', ...run.request.lanes].map((l) => [l, titles[l] ?? l] as [string, string]), [run, titles]);
  return (
    <>
      {run.running.value && <p class="running" role="status"><span class="dot" aria-hidden="true" />Running for {run.request.duration}: {count(trace.length)} messages so far</p>}
      {end && <FigureTable figures={end.figures} titles={titles} request={run.start.value?.request ?? run.request} />}
      <Messages trace={trace} lanes={columns} running={run.running.value} truncated={end?.truncated ?? 0} now={now} onNow={setNow} />
    </>
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
