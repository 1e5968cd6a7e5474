import { useRef, useState } from 'preact/hooks';
import { send } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { place, setQuery } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import { JobDetail } from './job';
import { away, fits, jobsOf, moment, preview, queuePath, type Filter, type Job, type Queue, type State } from './model';
import { Redrive } from './redrive';
import { listJobs } from './snippets';

const page = 50;
const none: Filter = { reason: '', worker: '', key: '', since: '' };

/** The jobs of one state, the oldest first, and one of them in full. */
export function Jobs({ queue, state }: { queue: Queue; state: State }) {
  const { query } = place.value;
  const after = query.get('after') ?? '', chosen = query.get('job') ?? '';
  const [filter, setFilter] = useState(none);
  const { value, problem, look } = usePoll(async (signal) => jobsOf(await (await send(`${queuePath(queue.name, 'jobs')}?state=${state}&limit=${page}${after && `&after=${encodeURIComponent(after)}`}`, { signal })).text()), 1000, [queue.name, state, after]);
  const now = Date.now();
  const jobs = value?.jobs.filter((j) => state !== 'dead' || fits(j, filter, now)) ?? [];
  const choose = (id: string) => setQuery({ job: id }, true);
  const step = (by: number) => {
    const i = jobs.findIndex((j) => j.id === chosen);
    const next = jobs[i < 0 ? 0 : Math.min(jobs.length - 1, Math.max(0, i + by))];
    if (next) choose(next.id);
  };
  const latest = useRef(step);
  latest.current = step;
  useKeys(() => [
    ...['j', 'ArrowDown'].map((keys) => ({ keys, does: 'next job down', run: () => latest.current(1) })),
    ...['k', 'ArrowUp'].map((keys) => ({ keys, does: 'next job up', run: () => latest.current(-1) })),
    { keys: 'Escape', does: 'close the job', run: () => setQuery({ job: '' }, true) },
  ]);
  return (
    <>
      {state === 'dead' && (queue.stats?.dead ?? 0) > 0 && <Redrive queue={queue.name} filter={filter} onFilter={setFilter} onDone={look} />}
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      <div class={chosen ? 'split open' : 'split'}>
        <div class="list">
          {!value && !problem && <p class="muted pad" role="status">Loading…</p>}
          {value && jobs.length === 0 && <Nothing state={state} filtered={value.jobs.length > 0} later={after !== ''} />}
          {jobs.length > 0 && <Table jobs={jobs} state={state} chosen={chosen} now={now} onSelect={choose} />}
        </div>
        {chosen && <JobDetail key={chosen} queue={queue} id={chosen} onClose={() => choose('')} onDone={look} />}
      </div>
      <footer class="list-foot">
        <span class="muted small" data-testid="shown">{count(jobs.length)} {jobs.length === 1 ? 'job' : 'jobs'} of {count(queue.stats?.[state] ?? 0)}, the oldest first</span>
        <span class="spring" />
        {after && <button class="quiet" onClick={() => setQuery({ after: '', job: '' })}>First page</button>}
        {value?.next && value.jobs.length === page && <button class="quiet" onClick={() => setQuery({ after: value.next, job: '' })}>Next page</button>}
      </footer>
      <Code of={listJobs(queue.name, state, after)} />
    </>
  );
}

const quiet: Record<State, string> = {
  ready: 'No job waits', delayed: 'No job rests', leased: 'No worker has a job', dead: 'No job is dead',
};

function Nothing({ state, filtered, later }: { state: State; filtered: boolean; later: boolean }) {
  if (filtered) return <Empty title="No job of this page matches the filter">Redriving looks at all dead jobs, not only at these.</Empty>;
  if (later) return <Empty title="No more jobs">They may have gone on meanwhile. <button class="link" onClick={() => setQuery({ after: '' })}>Back to the first page</button></Empty>;
  return (
    <Empty title={quiet[state]}>
      {{ ready: 'Jobs appear here until a worker leases them.', delayed: 'Jobs rest here that were told to, or that failed and are tried again.', leased: 'Jobs are here while a worker is at them.', dead: 'Jobs end here after their last attempt, and stay until they are redriven or purged.' }[state]}
    </Empty>
  );
}

// Which columns tell something, by state.
const heads: Record<State, string[]> = {
  ready: ['Enqueued', 'Attempts'], delayed: ['Ready', 'Attempts', 'Last cause'], leased: ['Worker', 'Lease ends', 'Progress'], dead: ['Died', 'Attempts', 'Reason'],
};

function Table({ jobs, state, chosen, now, onSelect }: { jobs: Job[]; state: State; chosen: string; now: number; onSelect: (id: string) => void }) {
  return (
    <div class="scroll-x bare" role="region" tabIndex={0} aria-label="Jobs">
      <table class="grid dense jobs-table" data-testid="jobs">
        <thead><tr><th scope="col">Job</th>{heads[state].map((h) => <th key={h} scope="col" class={h === 'Attempts' ? 'num' : ''}>{h}</th>)}<th scope="col" class="num">Priority</th><th scope="col">Key</th><th scope="col">Data</th></tr></thead>
        <tbody>
          {jobs.map((j, i) => (
            <tr key={i} class={j.id === chosen ? 'chosen' : ''} onClick={(e) => { if (!(e.target as Element).closest('button')) onSelect(j.id); }}>
              <th scope="row"><button class="link mono" aria-expanded={j.id === chosen} onClick={() => onSelect(j.id)}>{j.id}</button></th>
              <Cells j={j} state={state} now={now} />
              <td class="num">{j.priority}</td>
              <td class="mono cut">{j.key}</td>
              <td class="mono cut preview">{preview(j)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cells({ j, state, now }: { j: Job; state: State; now: number }) {
  const last = j.history?.[j.history.length - 1];
  switch (state) {
    case 'ready': return <><td title={moment(j.enqueued, now)}>{away(j.enqueued, now)}</td><td class="num">{j.attempts}</td></>;
    case 'delayed': return <><td title={moment(j.due, now)}>{away(j.due, now)}</td><td class="num">{j.attempts}</td><td class="cut">{last?.cause}</td></>;
    case 'leased': return <><td class="mono cut">{last?.worker}</td><td title={moment(j.due, now)}>{away(j.due, now)}</td><td>{j.progress && <meter class="bar wide" min={0} max={1} value={j.progress.progress} aria-label={`${Math.round(j.progress.progress * 100)} %`} />}</td></>;
    case 'dead': return <><td title={moment(j.died, now)}>{away(j.died, now)}</td><td class="num">{j.attempts}</td><td class="cut">{j.reason}</td></>;
  }
}
