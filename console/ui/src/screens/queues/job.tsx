import { useRef, useState } from 'preact/hooks';
import { problemOf, send, type Problem } from '../../api';
import { Code } from '../../code';
import { bytes } from '../../format';
import { usePoll } from '../../poll';
import { Copy, ErrorPanel } from '../../ui';
import { isJSON, rowOf } from '../topics/event';
import { layout } from '../topics/rawjson';
import { jobOf, queuePath, type Job, type Queue } from './model';
import { showJob } from './snippets';
import { ending, timeline, type End, type Step } from './timeline';

/** Where a job is: in the queue, or gone. */
interface Look { job: Job | null; end: End | null }

async function lookAt(queue: string, id: string, signal: AbortSignal): Promise<Look> {
  try {
    return { job: jobOf(await (await send(queuePath(queue, 'jobs', id), { signal })).text()), end: null };
  } catch (err) {
    if (problemOf(err).status !== 404) throw err;
    return { job: null, end: await endOf(queue, id, signal) };
  }
}

/** How a job ended that the queue does not have any more. */
async function endOf(queue: string, id: string, signal: AbortSignal): Promise<End | null> {
  try {
    const res = await send(queuePath(queue, 'jobs', id, 'result'), { signal });
    if (res.status === 202) return null; // it is there again
    if (res.status === 204) return { state: 'done', note: 'without a result, or it is not kept any more' };
    return { state: 'done', text: await res.text(), media: res.headers.get('Content-Type') ?? '' };
  } catch (err) {
    const p = problemOf(err);
    if (p.status === 422) return { state: 'canceled', note: p.detail };
    if (p.status === 403) return { state: 'unknown', note: 'done, canceled or purged: a token that may enqueue sees which' };
    throw err;
  }
}

/** All of one job: how it went, what it is about, what came out. */
export function JobDetail({ queue, id, onClose, onDone }: { queue: Queue; id: string; onClose: () => void; onDone: () => void }) {
  const { value, problem, look } = usePoll((signal) => lookAt(queue.name, id, signal), 1000, [queue.name, id]);
  const seen = useRef<Job | null>(null); // as it was last, when it is gone
  seen.current = value?.job ?? seen.current;
  const job = seen.current, end = value?.end ?? null;
  const now = Date.now();
  const steps = job ? timeline(job, end, now, queue.settings?.max_attempts ?? 20) : end ? [ending(end)] : [];
  return (
    <aside class="detail" aria-label="Job">
      <header>
        <h2>Job <span class="mono">{id}</span> <span class={`tag state ${end?.state ?? job?.state ?? ''}`}>{end?.state ?? job?.state}</span></h2>
        <button class="quiet icon" aria-label="Close the job" title="Escape" onClick={onClose}>×</button>
      </header>
      <div class="job-body">
        {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
        <ol class="timeline" aria-label="What happened">
          {steps.map((s, i) => <Entry key={i} step={s} />)}
        </ol>
        {job && !end && <Actions queue={queue.name} job={job} onDone={() => { look(); onDone(); }} />}
        {end?.text !== undefined && <Text title="Result" text={end.text} media={end.media ?? ''} />}
        {job?.event && <EventData event={job.event} />}
        {job && !job.event && <p class="muted">Its event cannot be read any more.</p>}
      </div>
      <Code of={showJob(queue.name, id, end ? undefined : job?.state)} />
    </aside>
  );
}

function Entry({ step }: { step: Step }) {
  return (
    <li class={step.tone} data-step={step.kind}>
      <span class="step-head"><strong>{step.title}</strong>{step.at && <time class="muted small mono">{step.at}</time>}</span>
      {step.progress !== undefined && <span class="step-progress"><meter class="bar wide" min={0} max={1} value={step.progress} aria-label="Progress" />{Math.round(step.progress * 100)} %</span>}
      {step.details.map((d) => <span key={d} class="step-detail">{d}</span>)}
    </li>
  );
}

/** What can be done about a job in its state. */
function Actions({ queue, job, onDone }: { queue: string; job: Job; onDone: () => void }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [delay, setDelay] = useState('10m');
  const act = async (method: string, path: string, body?: object) => {
    setProblem(null);
    try {
      await send(path, { method, ...(body ? { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {}) });
    } catch (err) {
      setProblem(problemOf(err));
    }
    onDone();
  };
  const later = queuePath(queue, 'jobs', job.id, 'reschedule');
  return (
    <div class="job-actions">
      {job.state === 'delayed' && <button onClick={() => act('POST', later, { delay: '0s' })}>Ready now</button>}
      {(job.state === 'ready' || job.state === 'delayed') && (
        <form class="inline" onSubmit={(e) => { e.preventDefault(); void act('POST', later, { delay }); }}>
          <button>Rest for</button>
          <input class="mono w4" aria-label="How long the job rests" value={delay} onInput={(e) => setDelay(e.currentTarget.value.trim())} />
        </form>
      )}
      {job.state === 'dead'
        ? <button class="primary" onClick={() => act('POST', queuePath(queue, 'redrive'), { ids: [job.id] })}>Redrive this job</button>
        : <button class="danger-quiet" onClick={() => act('DELETE', queuePath(queue, 'jobs', job.id))}>Cancel it</button>}
      {problem && <ErrorPanel problem={problem} onClose={() => setProblem(null)} />}
    </div>
  );
}

function EventData({ event }: { event: string }) {
  const row = rowOf(event);
  return (
    <>
      {row.bytes >= 0 && <Text title="Data" text={row.data} media={row.base64 ? 'application/octet-stream' : row.media} />}
      <dl class="attributes">{row.attributes.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </>
  );
}

const most = 100_000;

function Text({ title, text, media }: { title: string; text: string; media: string }) {
  return (
    <section class="job-text" aria-label={title}>
      <div class="detail-bar"><span class="label">{title}</span><span class="muted small">{bytes(new Blob([text]).size)}</span><span class="spring" /><Copy text={() => text} /></div>
      <pre class="job-data" tabIndex={0}>
        {isJSON(media) ? layout(text.slice(0, most)).map(([kind, t]) => (kind === 'mark' ? t : <span class={`j-${kind}`}>{t}</span>)) : text.slice(0, most)}
        {text.length > most && <span class="muted">{'\n'}… {bytes(text.length - most)} more</span>}
      </pre>
    </section>
  );
}
