import { useEffect, useMemo, useState } from 'preact/hooks';
import { token } from '../../api';
import { cli, Code, goMain, sh, ts, type Snippet } from '../../code';
import { bytes, count, ms } from '../../format';
import { useKeys } from '../../keys';
import { place, setQuery } from '../../router';
import { Empty, ErrorPanel, Field, Tabs } from '../../ui';
import { CrewChart } from './crew';
import { Messages } from './messages';
import { QueueRun, type Crew, type CrewFigures, type QueueOpening, type QueueRequest, type Takeover } from './queuerun';

const number = (text: string | null, otherwise: number) => (text && /^\d+$/.test(text) ? Number(text) : otherwise);

const requestIn = (query: URLSearchParams): QueueRequest => ({ jobs: number(query.get('jobs'), 24), work: query.get('work') || '100ms', visibility: query.get('visibility') || '1s', seed: number(query.get('seed'), 1) });

/** The same jobs by one worker, by three, and by three of which one crashes. */
export function QueueLab({ crews }: { crews: Crew[] }) {
  const [run, setRun] = useState<QueueRun | null>(null);
  useEffect(() => () => run?.stop(), [run]);
  const request = requestIn(place.value.query);
  const running = run?.running.value ?? false;
  const start = () => {
    const next = new QueueRun(request);
    setRun(next);
    void next.go();
  };
  useKeys(() => [{ keys: 'r', does: 'run', run: () => { if (!running) start(); } }], [running, place.value]);
  const trouble = run?.problem.value;
  return (
    <>
      <p class="muted">The same jobs, each crew with a queue of its own on this server. Workers lease a job, take their time, ack it.</p>
      <Controls request={request} running={running} onRun={start} onStop={() => run?.stop()} />
      {trouble && trouble.status !== 401 && <ErrorPanel problem={trouble} />}
      {run?.opening.value ? <Result run={run} opening={run.opening.value} /> : !trouble && (
        <Empty title="Nothing has run yet"><span class="lane-list">{crews.map((c) => <span key={c.name}><strong>{c.title}</strong> {c.summary}</span>)}</span></Empty>
      )}
      <Code of={snippet(request)} />
    </>
  );
}

function Controls({ request, running, onRun, onStop }: { request: QueueRequest; running: boolean; onRun: () => void; onStop: () => void }) {
  const input = (name: keyof QueueRequest) => ({
    class: 'mono w4', value: String(request[name]), disabled: running,
    onChange: (e: { currentTarget: { value: string } }) => setQuery({ [name]: e.currentTarget.value.trim() }, true),
  });
  return (
    <form class="controls" onSubmit={(e) => { e.preventDefault(); if (!running) onRun(); }}>
      <Field label="Jobs" hint="1 to 200"><input inputMode="numeric" {...input('jobs')} /></Field>
      <Field label="Each takes" hint="± 60 %"><input {...input('work')} /></Field>
      <Field label="A lease lasts" hint="200ms to 5s"><input {...input('visibility')} /></Field>
      <Field label="Seed" hint="of the jobs"><input inputMode="numeric" {...input('seed')} /></Field>
      <span class="spring" />
      {running ? <button type="button" onClick={onStop}>Stop</button> : <button class="primary" title="r">Run</button>}
    </form>
  );
}

/** Jobs that somebody began again, from what is known so far. */
function takeovers(run: QueueRun, lane: string): Takeover[] {
  const spans = run.spans.value.filter((s) => s.lane === lane);
  return spans.filter((s) => s.attempt > 1).flatMap((s) => {
    const before = spans.find((b) => b.job === s.job && b.attempt === s.attempt - 1);
    return before?.ended === undefined ? [] : [{ job: s.job, from: before.worker, to: s.worker, left: before.ended, taken: s.began }];
  });
}

function Result({ run, opening }: { run: QueueRun; opening: QueueOpening }) {
  const [now, setNow] = useState(Infinity);
  const [shown, show] = useState('crash');
  const spans = run.spans.value, trace = run.trace.value, closing = run.closing.value;
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
  const body = JSON.stringify(r);
  return {
    cli: [`yes '{"work": "${r.work}"}' | head -n ${r.jobs} | ${cli('parley queue push jobs - --ndjson')}`, cli(`parley queue set jobs --visibility ${sh(r.visibility)}`), `${cli("parley queue work jobs --exec 'sleep 0.1' --worker ann --drain")}   # in as many terminals as there are workers`].join('\n'),
    curl: `curl -N${token.value ? ' -H "Authorization: Bearer $TOKEN"' : ''} ${location.origin}/lab/queue \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    go: goMain(`w, err := queue.NewWorker(c.Queue("jobs"), func(ctx context.Context, job *queue.Lease) (queue.Result, error) {
	return nil, work(ctx, job.Event.Data)
}, queue.WorkerOptions{Name: "ann"})
if err != nil {
	return err
}
err = w.Run(ctx)`),
    ts: `const res = await fetch(${ts(`${location.origin}/lab/queue`)}, {
  method: "POST",
  headers: { "Content-Type": "application/json"${token.value ? ', Authorization: `Bearer ${token}`' : ''} },
  body: ${ts(body)},
});
// a line of JSON for the opening, each part of spans and trace, and the figures
const lines = (await res.text()).trim().split("\\n").map((l) => JSON.parse(l));`,
  };
}
