import { useEffect, useRef, useState } from 'preact/hooks';
import { json, problemOf, token } from '../../api';
import { cli, Code, sh } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import { rate } from '../queues/backlog';
import { EditDialog } from './edit';
import { errorsOf, pipePath, stateOf, states, type Pipe, type Stats } from './model';
import { paces, sampled, type Sample } from './samples';
import { listPipes } from './snippets';

/** How many pipes are asked what they do: each is a question to the node that runs it. */
const asked = 50;

interface Look { pipes: Pipe[]; stats: Map<string, Stats> }

async function load(signal: AbortSignal): Promise<Look> {
  const { pipes } = await json<{ pipes: Pipe[] }>('/v1/pipes', { signal });
  const stats = new Map<string, Stats>();
  await Promise.all(pipes.filter((p) => !p.stages).slice(0, asked).map(async (p) => {
    try {
      stats.set(p.name, await json<Stats>(pipePath(p.name, 'stats'), { signal }));
    } catch (err) {
      if (signal.aborted || problemOf(err).status === 401) throw err; // of the others nobody knows now
    }
  }));
  return { pipes, stats };
}

export function List() {
  const { value, problem, look } = usePoll(load, 1500, []);
  const [histories, setHistories] = useState<Map<string, Sample[]>>(new Map());
  const [creating, create] = useState(false);
  useEffect(() => {
    if (value) setHistories((h) => new Map([...value.stats].map(([name, s]) => [name, sampled(h.get(name) ?? [], s, Date.now())])));
  }, [value]);
  const filter = place.value.query.get('filter') ?? '';
  const box = useRef<HTMLInputElement>(null);
  useKeys(() => [
    { keys: '/', does: 'filter', run: () => box.current?.focus() },
    { keys: 'n', does: 'new pipe', run: () => create(true) },
  ]);
  const pipes = value?.pipes, shown = pipes?.filter((p) => p.name.includes(filter.toLowerCase()));
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Pipes</h1>
        {pipes && pipes.length > 0 && <span class="muted">{filter ? `${shown?.length} of ${count(pipes.length)}` : count(pipes.length)}</span>}
        <span class="spring" />
        <input ref={box} type="search" class="filter" placeholder="Filter by name" aria-label="Filter pipes by name" value={filter} onInput={(e) => setQuery({ filter: e.currentTarget.value }, true)} />
        <button class="primary" onClick={() => create(true)}>New pipe</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!pipes && !problem && <p class="muted pad" role="status">Loading…</p>}
      {pipes?.length === 0 && (
        <Empty title={token.value ? 'No pipe that this token may administer' : 'No pipe yet'} command={cli(`parley pipe put ${sh('topic orders | where data.total > 100 | topic big-orders')} --name big-orders`)}>
          A pipe reads topics, works on each event in stages, and publishes what comes out. {token.value && <>To see one takes the scope <code>admin</code> on it. </>}See how pipes are put together in the <a href={to(['lab'], { show: 'pipe' })}>Lab</a>.
        </Empty>
      )}
      {pipes && pipes.length > 0 && shown?.length === 0 && <Empty title={`No pipe's name contains “${filter}”`}><button class="quiet" onClick={() => setQuery({ filter: '' })}>Show all</button></Empty>}
      {shown && shown.length > 0 && <Table pipes={shown} stats={value!.stats} histories={histories} />}
      <Code of={listPipes()} />
      {creating && <EditDialog onClose={() => create(false)} onDone={(p) => { look(); go(to(['pipes', p.name])); }} />}
    </div>
  );
}

function Table({ pipes, stats, histories }: { pipes: Pipe[]; stats: Map<string, Stats>; histories: Map<string, Sample[]> }) {
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Pipes">
      <table class="grid pipes" data-testid="pipes">
        <thead>
          <tr>
            <th scope="col">Name</th><th scope="col">State</th><th scope="col" class="num">Read a second</th><th scope="col" class="num">Published a second</th><th scope="col" class="num">Lag</th>
            <th scope="col" class="num">Errors</th><th scope="col" class="num">Dead</th><th scope="col" class="num">Revision</th>
          </tr>
        </thead>
        <tbody>{pipes.map((p) => <Row key={p.name} p={p} s={stats.get(p.name)} history={histories.get(p.name) ?? []} />)}</tbody>
      </table>
      {pipes.length > asked && <p class="muted small note">Of the first {asked} it is shown what they do.</p>}
    </div>
  );
}

function Row({ p, s, history }: { p: Pipe; s?: Stats; history: Sample[] }) {
  const at = to(['pipes', p.name]), state = stateOf(p, s), now = paces(history), errors = errorsOf(s);
  return (
    <tr onClick={(e) => { if (!(e.target as Element).closest('a')) go(at); }}>
      <th scope="row"><a href={at}>{p.name}</a>{p.origin === 'file' && <span class="tag" title="it is changed in the server's files">file</span>}</th>
      {p.stages ? <td colSpan={6} class="muted">stages for pipes</td> : (
        <>
          <td><i class={`light is-${state}`} aria-hidden="true" />{states[state]}</td>
          {s ? (
            <>
              <td class="num">{now.known ? rate(now.whole.in) : '…'}</td>
              <td class="num">{now.known ? rate(now.whole.out) : '…'}</td>
              <td class={s.lag ? 'num warn' : 'num'}>{s.state === 'stopped' ? '' : `${count(s.lag)}${s.more ? '+' : ''}`}</td>
              <td class={errors ? 'num bad' : 'num'}>{count(errors)}</td>
              <td class={s.dead ? 'num bad' : 'num'}>{count(s.dead)}</td>
            </>
          ) : <td colSpan={5} class="muted">no node answers for it now</td>}
        </>
      )}
      <td class="num">{count(p.revision)}</td>
    </tr>
  );
}
