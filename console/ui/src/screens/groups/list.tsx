import { useRef, useState } from 'preact/hooks';
import { json, token } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import { states, type Summary } from './model';
import { NewDialog } from './new';
import { joinCommand, listGroups } from './snippets';

/** Loads every page of the list. */
async function load(signal: AbortSignal): Promise<Summary[]> {
  const all: Summary[] = [];
  for (let after = ''; ; ) {
    const page = await json<{ groups: Summary[]; next?: string }>(`/v1/groups?limit=1000&after=${encodeURIComponent(after)}`, { signal });
    all.push(...page.groups);
    if (!page.next) return all;
    after = page.next;
  }
}

export function List() {
  const { value: groups, problem, look } = usePoll(load, 1000, []);
  const [creating, create] = useState(false);
  const filter = place.value.query.get('filter') ?? '';
  const box = useRef<HTMLInputElement>(null);
  useKeys(() => [
    { keys: '/', does: 'filter', run: () => box.current?.focus() },
    { keys: 'n', does: 'new group', run: () => create(true) },
  ]);
  const shown = groups?.filter((g) => g.name.toLowerCase().includes(filter.toLowerCase()));
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Groups</h1>
        {groups && groups.length > 0 && <span class="muted">{filter ? `${shown?.length} of ${count(groups.length)}` : count(groups.length)}</span>}
        <span class="spring" />
        <input ref={box} type="search" class="filter" placeholder="Filter by name" aria-label="Filter groups by name" value={filter} onInput={(e) => setQuery({ filter: e.currentTarget.value }, true)} />
        <button class="primary" onClick={() => create(true)}>New group</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!groups && !problem && <p class="muted pad" role="status">Loading…</p>}
      {groups?.length === 0 && (
        <Empty title={token.value ? 'No group that this token may see' : 'No group yet'} command={joinCommand()}>
          A consumer group reads topics together and remembers how far it is; several groups read the same events, each in its own time. The first member makes one. See it in the <a href={to(['lab'], { show: 'groups' })}>Lab</a>.
        </Empty>
      )}
      {groups && groups.length > 0 && shown?.length === 0 && <Empty title={`No group's name contains “${filter}”`}><button class="quiet" onClick={() => setQuery({ filter: '' })}>Show all</button></Empty>}
      {shown && shown.length > 0 && <Table groups={shown} />}
      <Code of={listGroups()} />
      {creating && <NewDialog onClose={() => create(false)} onDone={(name) => { look(); go(to(['groups', name])); }} />}
    </div>
  );
}

function Table({ groups }: { groups: Summary[] }) {
  const most = Math.max(1, ...groups.map((g) => g.lag ?? 0));
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Groups">
      <table class="grid groups" data-testid="groups">
        <thead>
          <tr><th scope="col">Name</th><th scope="col">State</th><th scope="col" class="num">Lag</th><th scope="col" class="num">Members</th><th scope="col">Topics</th><th scope="col" class="num">Generation</th></tr>
        </thead>
        <tbody>
          {groups.map((g) => (
            <tr key={g.name} onClick={(e) => { if (!(e.target as Element).closest('a')) go(to(['groups', g.name])); }}>
              <th scope="row"><a href={to(['groups', g.name])}>{g.name}</a></th>
              <td>{g.state ? <><i class={`light is-${g.state}`} aria-hidden="true" />{states[g.state]}</> : <span class="warn">no node answers</span>}</td>
              <td class="num">{g.state && <Lag of={g.lag} most={most} />}</td>
              <td class="num">{g.state && count(g.members)}</td>
              <td class="mono">{g.topics.slice(0, 4).join(' ')}{g.topics.length > 4 && <span class="muted"> and {g.topics.length - 4} more</span>}</td>
              <td class="num">{g.state && count(g.generation)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Lag({ of, most }: { of?: number; most: number }) {
  if (of === undefined) return <span class="muted" title="the log can tell only by reading">not known</span>;
  return <>{count(of)}<meter class="bar" min={0} max={most} value={of} aria-hidden="true" /></>;
}
