import { useEffect, useRef, useState } from 'preact/hooks';
import { json, token } from '../../api';
import { cli, Code } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import { away, type Queue } from './model';
import { rate } from './backlog';
import { backlog, pace, sampled, type Sample } from './samples';
import { SettingsDialog } from './settings';
import { listQueues } from './snippets';

async function all(signal: AbortSignal): Promise<Queue[]> {
  const out: Queue[] = [];
  for (let after = ''; ; ) {
    const page = await json<{ queues: Queue[]; next?: string }>(`/v1/queues?limit=1000&after=${encodeURIComponent(after)}`, { signal });
    out.push(...page.queues);
    if (!page.next) return out;
    after = page.next;
  }
}

type Histories = Map<string, Sample[]>;

export function List() {
  const { value: queues, problem, look } = usePoll(all, 1000, []);
  const [histories, setHistories] = useState<Histories>(new Map());
  const [creating, create] = useState(false);
  useEffect(() => {
    if (queues) setHistories((h) => new Map(queues.filter((q) => q.stats).map((q) => [q.name, sampled(h.get(q.name) ?? [], q.stats!, Date.now()).slice(-60)])));
  }, [queues]);
  const filter = place.value.query.get('filter') ?? '';
  const box = useRef<HTMLInputElement>(null);
  useKeys(() => [
    { keys: '/', does: 'filter', run: () => box.current?.focus() },
    { keys: 'n', does: 'new queue', run: () => create(true) },
  ]);
  const shown = queues?.filter((q) => q.name.toLowerCase().includes(filter.toLowerCase()));
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Queues</h1>
        {queues && queues.length > 0 && <span class="muted">{filter ? `${shown?.length} of ${count(queues.length)}` : count(queues.length)}</span>}
        <span class="spring" />
        <input ref={box} type="search" class="filter" placeholder="Filter by name" aria-label="Filter queues by name" value={filter} onInput={(e) => setQuery({ filter: e.currentTarget.value }, true)} />
        <button class="primary" onClick={() => create(true)}>New queue</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!queues && !problem && <p class="muted pad" role="status">Loading…</p>}
      {queues?.length === 0 && (
        <Empty title={token.value ? 'No queue that this token may see' : 'No queue yet'} command={cli(`parley queue push emails '{"to": "ann@example.com"}'`)}>
          A queue is made with its first job, and hands each job to one of its workers. See what happens when one of them crashes in the <a href={to(['lab'], { show: 'queue' })}>Lab</a>.
        </Empty>
      )}
      {queues && queues.length > 0 && shown?.length === 0 && <Empty title={`No queue's name contains “${filter}”`}><button class="quiet" onClick={() => setQuery({ filter: '' })}>Show all</button></Empty>}
      {shown && shown.length > 0 && <Table queues={shown} histories={histories} />}
      <Code of={listQueues()} />
      {creating && <SettingsDialog onClose={() => create(false)} onDone={(q) => { look(); go(to(['queues', q.name])); }} />}
    </div>
  );
}

function Table({ queues, histories }: { queues: Queue[]; histories: Histories }) {
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Queues">
      <table class="grid queues">
        <thead>
          <tr>
            <th scope="col">Name</th><th scope="col">Backlog</th><th scope="col" class="num">Ready</th><th scope="col" class="num">Delayed</th><th scope="col" class="num">Leased</th>
            <th scope="col" class="num">Dead</th><th scope="col" class="num">Done a second</th><th scope="col">Oldest ready</th><th scope="col" class="num">Workers waiting</th>
          </tr>
        </thead>
        <tbody>
          {queues.map((q) => <Row key={q.name} q={q} history={histories.get(q.name) ?? []} />)}
        </tbody>
      </table>
    </div>
  );
}

function Row({ q, history }: { q: Queue; history: Sample[] }) {
  const s = q.stats, at = to(['queues', q.name]);
  return (
    <tr onClick={(e) => { if (!(e.target as Element).closest('a')) go(at); }}>
      <th scope="row"><a href={at}>{q.name}</a>{q.paused && <span class="tag warn">paused</span>}</th>
      {s ? (
        <>
          <td><Spark history={history} /></td>
          <td class="num">{count(s.ready)}</td>
          <td class="num">{count(s.delayed)}</td>
          <td class="num">{count(s.leased)}</td>
          <td class={s.dead ? 'num bad' : 'num'}>{count(s.dead)}</td>
          <td class="num">{rate(pace(history).done)}</td>
          <td>{away(s.oldest, Date.now())}</td>
          <td class="num">{count(s.waiting)}</td>
        </>
      ) : <td colSpan={8} class="muted">no node answers for it now</td>}
    </tr>
  );
}

/** The backlog since the page was opened, at most a minute, on a scale of its own. */
function Spark({ history }: { history: Sample[] }) {
  const most = Math.max(1, ...history.map(backlog));
  const points = history.map((s, i) => `${i + 60 - history.length},${(19 - (backlog(s) / most) * 18).toFixed(2)}`);
  return (
    <svg class="spark" viewBox="0 0 60 20" width="90" height="20" preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.length > 1 ? points.join(' ') : ''} />
    </svg>
  );
}
