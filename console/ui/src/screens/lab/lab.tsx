import { useEffect, useMemo, useState } from 'preact/hooks';
import { json, problemOf, token, type Problem } from '../../api';
import { cli, Code, goMain, goString, type Snippet } from '../../code';
import { count } from '../../format';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel, Tabs } from '../../ui';
import { FigureTable } from './figures';
import { overHTTP, RunForm, Trouble, useRun, whole, type Ask } from './form';
import { GroupLab } from './groups';
import type { Reader } from './grouprun';
import { LimitLab } from './limits';
import type { Experiment } from './limitrun';
import { Messages } from './messages';
import type { Flow } from './piperun';
import { PipeLab } from './pipes';
import { QueueLab } from './queue';
import type { Crew } from './queuerun';
import { deliveryKind, type DeliveryRun, type Figures, type Lane, type Request, type Start } from './run';


/** What the address asks for. */
function requestIn(query: URLSearchParams, lanes: Lane[]): Request {
  const asked = query.get('lanes')?.split(',').filter((l) => lanes.some((x) => x.name === l));
  return {
    lanes: asked?.length ? asked : lanes.map((l) => l.name),
    seed: whole(query, 'seed', 1), events: whole(query, 'events', 5), size: whole(query, 'size', 64),
    duration: query.get('duration') || '10s', every: query.get('every') || '1s',
  };
}

interface About { lanes: Lane[]; limits: Experiment[]; crews: Crew[]; readers: Reader[]; flows: Flow[] }

/** What there is to run, one kind at a time. */
export function Lab() {
  const [about, setAbout] = useState<About>({ lanes: [], limits: [], crews: [], readers: [], flows: [] });
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    json<About>('/lab/lanes').then((a) => { setAbout(a); setProblem(null); }, (err) => setProblem(problemOf(err)));
  }, [token.value]);
  const asked = place.value.query.get('show');
  const shown = about.limits.find((e) => e.name === asked);
  const kinds = [['', 'Delivery'], ...about.limits.map((e) => [e.name, e.title]), ['queue', 'Work queue'], ['groups', 'Groups'], ['pipe', 'Pipes']] as [string, string][];
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Lab</h1>
        <Tabs label="Experiment" tabs={kinds} value={shown?.name ?? (['queue', 'groups', 'pipe'].find((name) => name === asked) ?? '')} onChange={(name) => go(to(['lab'], { show: name }))} />
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {asked === 'pipe' ? <PipeLab flows={about.flows} /> : asked === 'groups' ? <GroupLab readers={about.readers} /> : asked === 'queue' ? <QueueLab crews={about.crews} /> : shown ? <LimitLab key={shown.name} experiment={shown} /> : <Delivery lanes={about.lanes} />}
    </div>
  );
}

const asks: Ask<Request>[] = [
  { name: 'events', label: 'Events' },
  { name: 'size', label: 'Bytes each' },
  { name: 'duration', label: 'Within', text: true },
  { name: 'every', label: 'Poll every', text: true },
  { name: 'seed', label: 'Seed' },
];

/** One schedule of events through every way of delivery. */
function Delivery({ lanes }: { lanes: Lane[] }) {
  const request = requestIn(place.value.query, lanes);
  const lab = useRun<Request, Start, never, Figures>(deliveryKind, request, lanes.length > 0), run = lab.run;
  return (
    <>
      <p class="muted">One schedule of events, every way of delivery, measured on this server.</p>
      <RunForm of={lab} request={request} asks={asks}><Lanes lanes={lanes} request={request} running={lab.running} /></RunForm>
      <Trouble of={run} />
      {run ? <Result key={String(run.request.seed) + run.request.duration} run={run} lanes={lanes} /> : <Empty title="Nothing has run yet">Press Run: the lanes start together, and every arrow of the diagram is a message that went over a socket.</Empty>}
      <Code of={snippet(request)} />
    </>
  );
}

function Lanes({ lanes, request, running }: { lanes: Lane[]; request: Request; running: boolean }) {
  const toggle = (name: string, on: boolean) => {
    const chosen = lanes.map((l) => l.name).filter((l) => (l === name ? on : request.lanes.includes(l)));
    setQuery({ lanes: chosen.length === lanes.length ? '' : chosen.join(',') }, true);
  };
  return (
    <fieldset class="lanes" disabled={running}>
      <legend class="label">Lanes</legend>
      {lanes.map((l) => {
        const on = request.lanes.includes(l.name);
        return <label key={l.name} class="check" title={l.summary}><input type="checkbox" checked={on} disabled={on && request.lanes.length === 1} onChange={(e) => toggle(l.name, e.currentTarget.checked)} />{l.title}</label>;
      })}
    </fieldset>
  );
}

function Result({ run, lanes }: { run: DeliveryRun; lanes: Lane[] }) {
  const [now, setNow] = useState(Infinity);
  const trace = run.trace.value, end = run.closing.value;
  const titles = useMemo(() => Object.fromEntries([['publisher', 'Publisher'], ...lanes.map((l) => [l.name, l.title])]) as Record<string, string>, [lanes]);
  const columns = useMemo(() => ['publisher', ...run.request.lanes].map((l) => [l, titles[l] ?? l] as [string, string]), [run, titles]);
  return (
    <>
      {run.running.value && <p class="running" role="status"><span class="dot" aria-hidden="true" />Running for {run.request.duration}: {count(trace.length)} messages so far</p>}
      {end && <FigureTable figures={end.figures} titles={titles} request={run.opening.value?.request ?? run.request} />}
      <Messages trace={trace} lanes={columns} running={run.running.value} truncated={end?.truncated ?? 0} now={now} onNow={setNow} />
    </>
  );
}

/** What one lane does, without the lab. */
function snippet(r: Request): Snippet {
  const lane = r.lanes[0]!, topic = 'orders';
  const over = { short: 'short-poll', long: 'long-poll', sse: 'sse', websocket: 'websocket' }[lane] ?? 'sse';
  const name = { short: 'ShortPoll', long: 'LongPoll', sse: 'SSE', websocket: 'WebSocket' }[lane] ?? 'SSE';
  return {
    ...overHTTP('/lab/run', r, 'the start, each part of the trace'),
    cli: r.lanes.map((l) => cli(`parley sub ${topic} --over ${{ short: `short-poll --every ${r.every}`, long: 'long-poll', sse: 'sse', websocket: 'websocket' }[l] ?? over}`)).join('\n'),
    go: goMain(`for got, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{${goString(topic)}}, Over: client.${name}}) {
	if err != nil {
		return err
	}
	fmt.Printf("%s\\n", got.Data)
}`),
  };
}
