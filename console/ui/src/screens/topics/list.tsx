import { useEffect, useRef, useState } from 'preact/hooks';
import { json, problemOf, token, type Problem } from '../../api';
import { cli, Code } from '../../code';
import { bound, bytes, count, duration } from '../../format';
import { useKeys } from '../../keys';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import type { Topic } from './model';
import { SettingsDialog } from './settings';
import { listTopics } from './snippets';

const every = 2000;

/** Loads every page of the list. */
async function load(signal: AbortSignal): Promise<Topic[]> {
  const all: Topic[] = [];
  for (let after = ''; ; ) {
    const page = await json<{ topics: Topic[]; next?: string }>(`/v1/topics?limit=1000&after=${encodeURIComponent(after)}`, { signal });
    all.push(...page.topics);
    if (!page.next) return all;
    after = page.next;
  }
}

/** The list of topics, looked at again every two seconds. */
function useTopics() {
  const [topics, setTopics] = useState<Topic[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [turn, again] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        setTopics(await load(abort.signal));
        setProblem(null);
      } catch (err) {
        if (abort.signal.aborted) return;
        setProblem(problemOf(err));
        if (problemOf(err).status === 401) return; // until there is a token
      }
      if (!abort.signal.aborted) timer = window.setTimeout(look, every);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [token.value, turn]);
  return { topics, problem, again: () => again((n) => n + 1) };
}

export function List() {
  const { topics, problem, again } = useTopics();
  const [creating, create] = useState(false);
  const filter = place.value.query.get('filter') ?? '';
  const box = useRef<HTMLInputElement>(null);
  useKeys(() => [
    { keys: '/', does: 'filter', run: () => box.current?.focus() },
    { keys: 'n', does: 'new topic', run: () => create(true) },
  ]);
  const shown = topics?.filter((t) => t.name.toLowerCase().includes(filter.toLowerCase()));
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Topics</h1>
        {topics && topics.length > 0 && <span class="muted">{filter ? `${shown?.length} of ${count(topics.length)}` : count(topics.length)}</span>}
        <span class="spring" />
        <input ref={box} type="search" class="filter" placeholder="Filter by name" aria-label="Filter topics by name" value={filter} onInput={(e) => setQuery({ filter: e.currentTarget.value }, true)} />
        <button class="primary" onClick={() => create(true)}>New topic</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!topics && !problem && <p class="muted pad" role="status">Loading…</p>}
      {topics?.length === 0 && (
        <Empty title={token.value ? 'No topic that this token may read' : 'No topic yet'} command={cli("parley pub hello 'my first event'")}>Publishing makes one, or choose its settings with New topic. With tokens, a server shows what yours may read.</Empty>
      )}
      {topics && topics.length > 0 && shown?.length === 0 && <Empty title={`No topic's name contains “${filter}”`}><button class="quiet" onClick={() => setQuery({ filter: '' })}>Show all</button></Empty>}
      {shown && shown.length > 0 && <Table topics={shown} />}
      <Code of={listTopics()} />
      {creating && <SettingsDialog onClose={() => create(false)} onDone={(t) => { again(); go(to(['topics', t.name])); }} />}
    </div>
  );
}

function Table({ topics }: { topics: Topic[] }) {
  return (
    <div class="scroll-x">
      <table class="grid">
        <thead>
          <tr><th scope="col">Name</th><th scope="col" class="num">Events</th><th scope="col" class="num">Size</th><th scope="col" class="num">Partitions</th><th scope="col">Durability</th><th scope="col">Kept for</th><th scope="col" class="num">At most</th></tr>
        </thead>
        <tbody>
          {topics.map((t) => (
            <tr key={t.name} onClick={(e) => { if (!(e.target as Element).closest('a')) go(to(['topics', t.name])); }}>
              <th scope="row"><a href={to(['topics', t.name])}>{t.name}</a></th>
              <td class="num">{count(t.events)}</td>
              <td class="num">{bytes(t.bytes)}</td>
              <td class="num">{t.settings.partitions}</td>
              <td>{t.settings.durability}</td>
              <td>{t.settings.max_age === 'none' ? 'ever' : duration(t.settings.max_age)}</td>
              <td class="num">{bound(t.settings.max_bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
