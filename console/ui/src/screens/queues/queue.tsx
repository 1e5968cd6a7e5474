import { useEffect, useState } from 'preact/hooks';
import { json, type Problem } from '../../api';
import { cli, sh } from '../../code';
import { count, duration } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel, Tabs } from '../../ui';
import { Backlog } from './backlog';
import { DeleteDialog, PauseDialog, PurgeDialog } from './dialogs';
import { Enqueue } from './enqueue';
import { Jobs } from './jobs';
import { away, queuePath, retrying, states, type Queue, type State } from './model';
import { sampled, type Sample } from './samples';
import { Schedules } from './schedules';
import { SettingsDialog } from './settings';

type Open = '' | 'enqueue' | 'settings' | 'pause' | 'purge' | 'delete';

/** One queue: its backlog as it moves, its jobs, and what can be done about them. */
export function QueueScreen({ name }: { name: string }) {
  const [missing, miss] = useState(false); // then it is looked for at leisure
  const { value: queue, problem, look } = usePoll((signal) => json<Queue>(queuePath(name), { signal }), missing ? 3000 : 500, [name, missing]);
  useEffect(() => miss(problem?.status === 404), [problem]);
  const [history, setHistory] = useState<Sample[]>([]);
  const [dialog, open] = useState<Open>('');
  useEffect(() => {
    if (queue?.stats) setHistory((all) => sampled(all, queue.stats!, Date.now()));
  }, [queue]);
  useKeys(() => [
    { keys: 'p', does: 'enqueue jobs', run: () => open('enqueue') },
    { keys: 'e', does: 'change the settings', run: () => open('settings') },
  ]);
  const close = () => open('');
  return (
    <>
      {problem?.status === 404 ? <Missing name={name} onEnqueue={() => open('enqueue')} /> : <Present name={name} queue={queue} problem={problem} history={history} onOpen={open} />}
      {dialog === 'enqueue' && <Enqueue queue={name} onClose={close} onDone={look} />}
      {queue && dialog === 'settings' && <SettingsDialog queue={queue} onClose={close} onDone={look} />}
      {queue && dialog === 'pause' && <PauseDialog queue={queue} onClose={close} onDone={look} />}
      {queue && dialog === 'purge' && <PurgeDialog queue={queue} onClose={close} onDone={look} />}
      {queue && dialog === 'delete' && <DeleteDialog queue={queue} onClose={close} onDone={() => go(to(['queues']))} />}
    </>
  );
}

function Present({ name, queue, problem, history, onOpen: open }: { name: string; queue: Queue | null; problem: Problem | null; history: Sample[]; onOpen: (dialog: Open) => void }) {
  return (
    <div class="screen">
      <header class="screen-head">
        <h1><a href="/queues" class="crumb">Queues</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1>
        {queue?.paused && <span class="tag warn">paused</span>}
        <span class="spring" />
        <button disabled={!queue} onClick={() => open('pause')}>{queue?.paused ? 'Resume' : 'Pause'}</button>
        <button disabled={!queue} title="e" onClick={() => open('settings')}>Settings</button>
        <button class="danger-quiet" disabled={!queue} onClick={() => open('purge')}>Purge</button>
        <button class="danger-quiet" disabled={!queue} onClick={() => open('delete')}>Delete</button>
        <button class="primary" disabled={!queue} title="p" onClick={() => open('enqueue')}>Enqueue</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!queue && !problem && <p class="muted pad" role="status">Loading…</p>}
      {queue && (
        <>
          <Facts queue={queue} />
          <Backlog queue={queue} history={history} />
          <Contents queue={queue} />
        </>
      )}
    </div>
  );
}

function Missing({ name, onEnqueue }: { name: string; onEnqueue: () => void }) {
  return (
    <div class="screen">
      <header class="screen-head"><h1><a href="/queues" class="crumb">Queues</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1></header>
      <Empty title={`There is no queue ${name}`} command={cli(`parley queue push ${sh(name)} '{"hello": "world"}'`)}>It is made with its first job: by a command, or <button class="link" onClick={onEnqueue}>here</button>.</Empty>
    </div>
  );
}

function Facts({ queue }: { queue: Queue }) {
  const s = queue.settings, stats = queue.stats;
  if (!s || !stats) return null;
  return (
    <dl class="facts">
      <div><dt>Attempts</dt><dd>{s.max_attempts < 0 ? 'no limit' : s.max_attempts}</dd></div>
      <div><dt>A lease lasts</dt><dd>{duration(s.visibility)}</dd></div>
      <div><dt>Tried again</dt><dd>{retrying(s.retry)}</dd></div>
      <div><dt>At once</dt><dd>{s.concurrency ? count(s.concurrency) : 'no limit'}</dd></div>
      <div><dt>Leased at</dt><dd class={s.rate ? 'mono' : ''}>{s.rate || 'no limit'}</dd></div>
      <div><dt>Dead letters</dt><dd><TopicLink name={s.dead_letter || `${queue.name}.dead`} /></dd></div>
      <div><dt>Results</dt><dd><TopicLink name={s.results || `${queue.name}.results`} /></dd></div>
      {stats.feeds?.map((f) => <div key={f.pattern}><dt>Fed by <span class="mono">{f.pattern}</span></dt><dd class={f.error ? 'bad' : ''}>{f.error ?? (f.lag < 0 ? 'lag not known yet' : `${count(f.lag)}${f.more ? '+' : ''} behind`)}</dd></div>)}
      <div><dt>Oldest ready</dt><dd>{away(stats.oldest, Date.now()) || '—'}</dd></div>
      <div><dt>Workers waiting</dt><dd>{count(stats.waiting)}</dd></div>
      {stats.groups > 0 && <div><dt>Keys</dt><dd>{count(stats.groups)}</dd></div>}
      <div><dt>Enqueued</dt><dd>{count(stats.enqueued)}</dd></div>
      <div><dt>Done</dt><dd data-testid="done">{count(stats.done)}</dd></div>
    </dl>
  );
}

const TopicLink = ({ name }: { name: string }) => (name === '-' ? <>none</> : <a class="mono" href={to(['topics', name])}>{name}</a>);

type Tab = State | 'schedules';
const titles: Record<Tab, string> = { ready: 'Ready', delayed: 'Delayed', leased: 'Leased', dead: 'Dead', schedules: 'Schedules' };

/** The jobs of one state, or the schedules. */
function Contents({ queue }: { queue: Queue }) {
  const asked = place.value.query.get('state') as Tab;
  const tab: Tab = asked in titles ? asked : 'ready';
  const tabs = (Object.keys(titles) as Tab[]).map((t) => [t, t === 'schedules' ? titles[t] : `${titles[t]} ${count(queue.stats?.[t] ?? 0)}`] as [Tab, string]);
  return (
    <section class="events jobs" aria-label="What is in it">
      <div class="toolbar"><Tabs label="State" tabs={tabs} value={tab} onChange={(t) => setQuery({ state: t === 'ready' ? '' : t, after: '', job: '' }, true)} /></div>
      {tab === 'schedules' ? <Schedules queue={queue.name} /> : <Jobs key={tab} queue={queue} state={states.find((s) => s === tab)!} />}
    </section>
  );
}
