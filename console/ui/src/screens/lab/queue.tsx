import { useMemo, useState } from 'preact/hooks';
import { cli, Code, goMain, sh, type Snippet } from '../../code';
import { bytes, count, ms } from '../../format';
import { place } from '../../router';
import { Empty, Tabs } from '../../ui';
import { CrewChart } from './crew';
import { overHTTP, RunForm, Trouble, useRun, whole, type Ask } from './form';
import { Messages } from './messages';
import { queueKind, type Crew, type CrewFigures, type QueueOpening, type QueueRequest, type QueueRun, type Span, type Takeover } from './queuerun';


const requestIn = (query: URLSearchParams): QueueRequest => ({ jobs: whole(query, 'jobs', 24), work: query.get('work') || '100ms', visibility: query.get('visibility') || '1s', seed: whole(query, 'seed', 1) });

const asks: Ask<QueueRequest>[] = [
  { name: 'jobs', label: 'Jobs', hint: '1 to 200' },
  { name: 'work', label: 'Each takes', hint: '± 60 %', text: true },
  { name: 'visibility', label: 'A lease lasts', hint: '200ms to 5s', text: true },
  { name: 'seed', label: 'Seed', hint: 'of the jobs' },
];

/** The same jobs by one worker, by three, and by three of which one crashes. */
export function QueueLab({ crews }: { crews: Crew[] }) {
  const request = requestIn(place.value.query);
  const lab = useRun<QueueRequest, QueueOpening, Span, CrewFigures>(queueKind, request), run = lab.run;
  return (
    <>
      <p class="muted">The same jobs, each crew with a queue of its own on this server. Workers lease a job, take their time, ack it.</p>
      <RunForm of={lab} request={request} asks={asks} />
      <Trouble of={run} />
      {run?.opening.value ? <Result run={run} opening={run.opening.value} /> : !run?.problem.value && (
        <Empty title="Nothing has run yet"><span class="lane-list">{crews.map((c) => <span key={c.name}><strong>{c.title}</strong> {c.summary}</span>)}</span></Empty>
      )}
      <Code of={snippet(request)} />
    </>
  );
}

/** Jobs that somebody began again, from what is known so far. */
function takeovers(run: QueueRun, lane: string): Takeover[] {
  const spans = run.news.value.filter((s) => s.lane === lane);
  return spans.filter((s) => s.attempt > 1).flatMap((s) => {
    const before = spans.find((b) => b.job === s.job && b.attempt === s.attempt - 1);
    return before?.ended === undefined ? [] : [{ job: s.job, from: before.worker, to: s.worker, left: before.ended, taken: s.began }];
  });
}

function Result({ run, opening }: { run: QueueRun; opening: QueueOpening }) {
  const [now, setNow] = useState(Infinity);
  const [shown, show] = useState('crash');
  const spans = run.news.value, trace = run.trace.value, closing = run.closing.value;
  const latest = Math.max(0, ...spans.map((s) => s.ended ?? s.began), trace[trace.length - 1]?.t ?? 0);
  const alone = opening.tasks.reduce((a, b) => a + b, 0);
  const width = Math.max(alone * 1.04, latest * 1.02);
  const crew = opening.crews.find((c) => c.name === shown) ?? opening.crews[0]!;
  const lanes = useMemo(() => ['producer', ...crew.workers].map((w) => [`${crew.name}/${w}`, w] as [string, string]), [crew]);
  const mine = useMemo(() => trace.filter((m) => m.lane.startsWith(`${crew.name}/`)), [trace, crew]);
  return (
    <>
      {run.running.value && <p class="running" role="status"><span class="dot" aria-hidden="true" />{count(spans.filter((s) => s.end === 'done').length)} of {count(opening.tasks.length * opening.crews.length)} jobs done</p>}
      <div class="gantts one">
        {opening.crews.map((c) => {
          const f = closing?.figures.find((x) => x.lane === c.name);
          return (
            <section key={c.name} class="panel" aria-label={c.title}>
              <header class="gantt-head"><h2>{c.title}</h2><span class="spring" />{f && <Headline f={f} crew={c} />}</header>
              <p class="muted small gantt-about">{c.summary}</p>
              <CrewChart crew={c} spans={spans.filter((s) => s.lane === c.name)} takeovers={takeovers(run, c.name)} jobs={opening.tasks.length} width={width} latest={latest} now={now} />
            </section>
          );
        })}
      </div>
      {closing && <FigureTable figures={closing.figures} crews={opening.crews} />}
      <div class="crew-tabs"><span class="label">Messages of</span><Tabs label="Messages of" tabs={opening.crews.map((c) => [c.name, c.title] as [string, string])} value={crew.name} onChange={show} /></div>
      <Messages key={crew.name} trace={mine} lanes={lanes} running={run.running.value} truncated={closing?.truncated ?? 0} now={now} onNow={setNow} />
    </>
  );
}

function Headline({ f, crew }: { f: CrewFigures; crew: Crew }) {
  const over = f.taken_over[0];
  return (
    <strong class={f.done < f.jobs ? 'bad' : 'good'}>
      {f.done < f.jobs ? `${f.done} of ${f.jobs} jobs done` : `all ${f.jobs} done after ${ms(f.drained)} ms`}
      {crew.crashes && (over ? `; job ${over.job} taken over by ${over.to}` : '; nobody crashed: too few jobs')}
    </strong>
  );
}

function FigureTable({ figures, crews }: { figures: CrewFigures[]; crews: Crew[] }) {
  const most = Math.max(...figures.map((f) => f.drained), 1);
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Figures">
      <table class="grid figures tight" data-testid="figures">
        <thead><tr><th scope="col">Crew</th><th scope="col" class="num">Done</th><th scope="col" class="num">Drained after, ms</th><th scope="col" class="num">Leases</th><th scope="col">Who did what</th><th scope="col">Taken over</th><th scope="col" class="num">Requests</th><th scope="col" class="num">Bytes up</th><th scope="col" class="num">Bytes down</th></tr></thead>
        <tbody>
          {figures.map((f) => (
            <tr key={f.lane} data-lane={f.lane}>
              <th scope="row">{crews.find((c) => c.name === f.lane)?.title}</th>
              <td class="num" data-figure="Done">{count(f.done)}</td>
              <td class="num" data-figure="Drained">{ms(f.drained)}<meter class="bar" min={0} max={most} value={f.drained} aria-hidden="true" /></td>
              <td class="num" data-figure="Leases">{count(f.attempts)}</td>
              <td>{f.workers.map((w) => `${w.name} ${w.done}${w.crashed ? ', then crashed' : ''}`).join(' · ')}</td>
              <td data-figure="Taken over">{f.taken_over.map((t) => <span key={`${t.job} ${t.taken}`} class="below">job {t.job} of {t.from} by {t.to}, {ms(Math.max(0, t.taken - t.left))} ms later</span>)}</td>
              <td class="num">{count(f.requests)}</td>
              <td class="num">{bytes(f.bytes_in)}</td>
              <td class="num">{bytes(f.bytes_out)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted small note">A lease that is not acked is over when its time is: then the job is ready again, and the first who is free has it. The crashed worker says nothing, its connection breaks in the middle of the job.</p>
    </div>
  );
}

/** The run, and such a worker without the lab. */
function snippet(r: QueueRequest): Snippet {
  return {
    ...overHTTP('/lab/queue', r, 'the opening, each part of spans and trace'),
    cli: [`yes '{"work": "${r.work}"}' | head -n ${r.jobs} | ${cli('parley queue push jobs - --ndjson')}`, cli(`parley queue set jobs --visibility ${sh(r.visibility)}`), `${cli("parley queue work jobs --exec 'sleep 0.1' --worker ann --drain")}   # in as many terminals as there are workers`].join('\n'),
    go: goMain(`w, err := queue.NewWorker(c.Queue("jobs"), func(ctx context.Context, job *queue.Lease) (queue.Result, error) {
	return nil, work(ctx, job.Event.Data)
}, queue.WorkerOptions{Name: "ann"})
if err != nil {
	return err
}
err = w.Run(ctx)`),
  };
}
