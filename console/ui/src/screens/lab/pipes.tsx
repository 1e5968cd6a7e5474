import { useMemo, useState } from 'preact/hooks';
import { Code, sh, type Snippet } from '../../code';
import { count, ms } from '../../format';
import { place } from '../../router';
import { Empty } from '../../ui';
import { FlowChart } from './flow';
import { overHTTP, RunForm, Trouble, useRun, whole, type Ask } from './form';
import { pipeKind, type Flow, type FlowFigures, type Mark, type PipeOpening, type PipeRequest, type PipeRun } from './piperun';
import { Player } from './player';

const requestIn = (query: URLSearchParams): PipeRequest => ({
  events: whole(query, 'events', 24), work: query.get('work') || '100ms', lanes: whole(query, 'lanes', 3),
  batch: whole(query, 'batch', 6), room: whole(query, 'room', 3), seed: whole(query, 'seed', 1),
});

const asks: Ask<PipeRequest>[] = [
  { name: 'events', label: 'Events', hint: '1 to 200' },
  { name: 'work', label: 'Each takes', hint: '± 60 %', text: true },
  { name: 'lanes', label: 'At a time', hint: 'in parallel' },
  { name: 'batch', label: 'A batch has', hint: 'events' },
  { name: 'room', label: 'A queue takes', hint: 'events' },
  { name: 'seed', label: 'Seed', hint: 'of the work' },
];

/** The same events through pipes that are put together otherwise. */
export function PipeLab({ flows }: { flows: Flow[] }) {
  const request = requestIn(place.value.query);
  const lab = useRun<PipeRequest, PipeOpening, Mark, FlowFigures>(pipeKind, request), run = lab.run;
  return (
    <>
      <p class="muted">The same events through five pipes of the library, which run in this server: a source that gives whenever it is asked, a stage that takes time, and a sink.</p>
      <RunForm of={lab} request={request} asks={asks} />
      <Trouble of={run} />
      {run?.opening.value ? <Result run={run} opening={run.opening.value} /> : !run?.problem.value && (
        <Empty title="Nothing has run yet"><span class="lane-list">{flows.map((f) => <span key={f.name}><strong>{f.title}</strong> {f.summary}</span>)}</span></Empty>
      )}
      <Code of={snippet(request)} />
    </>
  );
}

function Result({ run, opening }: { run: PipeRun; opening: PipeOpening }) {
  const [now, setNow] = useState(Infinity);
  const marks = run.news.value, closing = run.closing.value;
  const latest = marks[marks.length - 1]?.at ?? 0, alone = opening.tasks.reduce((a, b) => a + b, 0);
  const span = Math.max(alone * 1.06, latest * 1.02);
  const written = marks.filter((m) => m.stage === 'sink').length;
  const moments = useMemo(() => marks.map((m) => ({ t: m.at })), [closing]);
  return (
    <>
      {run.running.value && <p class="running" role="status"><span class="dot" aria-hidden="true" />{count(written)} of {count(opening.tasks.length * opening.flows.length)} events are written</p>}
      {closing && <div class="panel pad-bar"><Player trace={moments} now={now} onNow={setNow} /></div>}
      <div class="gantts">
        {opening.flows.map((f) => {
          const figures = closing?.figures.find((x) => x.lane === f.name);
          return (
            <section key={f.name} class={f.queues ? 'panel whole-row' : 'panel'} aria-label={f.title}>
              <header class="gantt-head"><h2>{f.title}</h2><span class="spring" />{figures && <Headline f={figures} flow={f} />}</header>
              <p class="muted small gantt-about">{f.summary}</p>
              <FlowChart flow={f} marks={marks.filter((m) => m.lane === f.name)} events={opening.tasks.length} room={opening.request.room} span={span} latest={latest} now={now} />
            </section>
          );
        })}
      </div>
      <p class="legend muted small">
        <span><svg width="22" height="10" aria-hidden="true"><line class="way" x1="0" x2="22" y1="5" y2="5" /></svg>in the pipe, waiting</span>
        <span><svg width="22" height="10" aria-hidden="true"><rect class="at-work" y="1" width="22" height="8" /></svg>at work</span>
        <span><svg width="22" height="10" aria-hidden="true"><rect class="at-other" y="1" width="22" height="8" /></svg>in another stage</span>
        <span><svg width="10" height="10" aria-hidden="true"><circle class="taken" cx="5" cy="5" r="3" /></svg>written</span>
        <span><svg width="10" height="10" aria-hidden="true"><circle class="taken late" cx="5" cy="5" r="3" /></svg>written after a later one</span>
        <span>A row is an event, in the order of the source.</span>
      </p>
      {closing && <FigureTable figures={closing.figures} flows={opening.flows} />}
    </>
  );
}

/** The one thing that tells a lane from its neighbours. */
function Headline({ f, flow }: { f: FlowFigures; flow: Flow }) {
  const seconds = `${(f.took / 1000).toFixed(2)} s`;
  if (flow.queues) return <strong class="warn">{seconds}; the source was held up for {(f.held / 1000).toFixed(2)} s</strong>;
  if (f.overtaken) return <strong class="warn">{seconds}, {count(f.overtaken)} out of order</strong>;
  return <strong class="good">{seconds}{f.calls < f.events ? `, ${count(f.calls)} calls` : ', in order'}</strong>;
}

type Column = { title: string; hint?: string; show: (f: FlowFigures) => string };
const work = (f: FlowFigures) => f.stages.find((s) => s.stage === 'work');
const columns: Column[] = [
  { title: 'Written', show: (f) => count(f.events) },
  { title: 'Took, ms', hint: 'until the sink had the last event', show: (f) => ms(f.took) },
  { title: 'Out of order', hint: 'events that were written after a later one', show: (f) => count(f.overtaken) },
  { title: 'Calls', hint: 'of the stage that takes time', show: (f) => count(f.calls) },
  { title: 'At a time', hint: 'events at work, at most', show: (f) => count(f.peak) },
  { title: 'p50, ms', hint: 'from the source to the sink', show: (f) => ms(f.latency.p50) },
  { title: 'Max, ms', hint: 'from the source to the sink', show: (f) => ms(f.latency.max) },
  { title: 'Waiting for work', hint: 'events, in the mean over the run', show: (f) => (work(f)?.waiting ?? 0).toFixed(1) },
  { title: 'Source held, ms', hint: 'how long the source was not asked though it had more', show: (f) => ms(f.held) },
  { title: 'Acknowledged', hint: 'events that the source was told are done', show: (f) => count(f.acked) },
];

function FigureTable({ figures, flows }: { figures: FlowFigures[]; flows: Flow[] }) {
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Figures">
      <table class="grid figures tight" data-testid="figures">
        <thead><tr><th scope="col">Pipe</th>{columns.map((c) => <th key={c.title} scope="col" class="num" title={c.hint}>{c.title}</th>)}</tr></thead>
        <tbody>
          {figures.map((f) => (
            <tr key={f.lane} data-lane={f.lane}><th scope="row">{flows.find((x) => x.name === f.lane)?.title}</th>{columns.map((c) => <td key={c.title} class="num" data-figure={c.title}>{c.show(f)}</td>)}</tr>
          ))}
        </tbody>
      </table>
      <p class="muted small note">To work on an event is to wait for so long, as for an answer of another server. All pipes run at the same time, in one process.</p>
    </div>
  );
}

/** The run, and such a pipe as a program. */
function snippet(r: PipeRequest): Snippet {
  return {
    ...overHTTP('/lab/pipe', r, 'the opening, each part of marks'),
    cli: `parley pipe ${sh(`generate ${r.events} 10ms | batch ${r.batch} 1s | stdout`)}`,
    go: `flow := pipe.Parallel(pipe.From(source), pipe.Lanes[Order]{
	N: ${r.lanes}, Order: pipe.OrderTotal, Limit: pipe.Limit[Order]{Events: ${r.lanes + r.room}},
}, func(lane pipe.Flow[Order]) pipe.Flow[Order] {
	return pipe.Map(lane, work)
})
batches := pipe.Batch(flow, pipe.BatchOptions[Order]{Count: ${r.batch}, Every: time.Second})
err := pipe.Run(ctx, pipe.Options{}, pipe.To(batches, sink))`,
  };
}
