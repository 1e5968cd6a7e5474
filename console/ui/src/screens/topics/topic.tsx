import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { json, problemOf, token, topicPath, type Problem } from '../../api';
import { cli, Code, sh } from '../../code';
import { bound, bytes, count, duration } from '../../format';
import { useKeys } from '../../keys';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import { Detail } from './detail';
import { matches, type Row } from './event';
import type { Topic } from './model';
import { Publish } from './publish';
import { Rows } from './rows';
import { SchemasDialog } from './schemas';
import { Seek } from './seek';
import { DeleteDialog, SettingsDialog } from './settings';
import { readTopic } from './snippets';
import { maxRows, Tail } from './tail';

/** One topic: what is stored in it, and what comes. */
export function TopicScreen({ name }: { name: string }) {
  const query = place.value.query;
  const from = query.get('from') ?? '';
  const { topic, problem, look } = useTopic(name);
  const [dialog, open] = useState<'' | 'settings' | 'delete'>('');
  const publishing = query.has('publish');
  useKeys(() => [{ keys: 'p', does: 'publish', run: () => setQuery({ publish: '1' }) }]);
  if (problem?.status === 404) return <Missing name={name} onMade={look} />;
  return (
    <div class="screen fill">
      <header class="screen-head">
        <h1><a href="/topics" class="crumb">Topics</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1>
        <span class="spring" />
        <button class={publishing ? '' : 'primary'} aria-expanded={publishing} onClick={() => setQuery({ publish: publishing ? '' : '1' })}>Publish</button>
        <button disabled={!topic} onClick={() => setQuery({ schema: '1' })}>Schemas</button>
        <button disabled={!topic} onClick={() => open('settings')}>Settings</button>
        <button class="danger-quiet" onClick={() => open('delete')}>Delete</button>
      </header>
      {topic && <Facts topic={topic} />}
      {problem && problem.status > 0 && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {publishing && <Publish topic={name} onClose={() => setQuery({ publish: '' })} />}
      <Events key={`${from} ${token.value}`} topic={name} from={from} />
      <Code of={readTopic(name, from)} />
      {topic && query.has('schema') && <SchemasDialog topic={name} onClose={() => setQuery({ schema: '' })} />}
      {dialog === 'settings' && topic && <SettingsDialog topic={topic} onClose={() => open('')} onDone={look} />}
      {dialog === 'delete' && <DeleteDialog topic={name} onClose={() => open('')} onDone={() => go(to(['topics']))} />}
    </div>
  );
}

function Missing({ name, onMade }: { name: string; onMade: () => void }) {
  const [creating, create] = useState(false);
  return (
    <div class="screen">
      <header class="screen-head"><h1><a href="/topics" class="crumb">Topics</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1></header>
      <Empty title={`There is no topic ${name}`} command={cli(`parley pub ${sh(name)} 'the first event'`)}>Publishing makes it, or <button class="link" onClick={() => create(true)}>choose its settings</button> first.</Empty>
      {creating && <SettingsDialog onClose={() => create(false)} onDone={(t) => (t.name === name ? onMade() : go(to(['topics', t.name])))} />}
    </div>
  );
}

function useTopic(name: string) {
  const [topic, setTopic] = useState<Topic | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [turn, again] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        setTopic(await json<Topic>(topicPath(name), { signal: abort.signal }));
        setProblem(null);
      } catch (err) {
        if (abort.signal.aborted) return;
        setProblem(problemOf(err));
        if (problemOf(err).status === 401) return; // until there is a token
      }
      if (!abort.signal.aborted) timer = window.setTimeout(look, 2000);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [name, token.value, turn]);
  return { topic, problem, look: () => again((n) => n + 1) };
}

function Facts({ topic }: { topic: Topic }) {
  const s = topic.settings;
  return (
    <dl class="facts">
      <div><dt>Events</dt><dd>{count(topic.events)}</dd></div>
      <div><dt>Size</dt><dd>{bytes(topic.bytes)}</dd></div>
      <div><dt>Partitions</dt><dd>{s.partitions}</dd></div>
      <div><dt>Durability</dt><dd>{s.durability}</dd></div>
      <div><dt>Kept for</dt><dd>{s.max_age === 'none' ? 'ever' : duration(s.max_age)}</dd></div>
      <div><dt>At most</dt><dd>{bound(s.max_bytes)}</dd></div>
    </dl>
  );
}

/** The tail of a topic, with what steers it. */
function Events({ topic, from }: { topic: string; from: string }) {
  const tail = useMemo(() => new Tail(topic, from), []);
  useEffect(() => {
    void tail.open();
    return () => tail.close();
  }, []);
  const [words, setWords] = useState(place.value.query.get('filter') ?? '');
  const [picked, pick] = useState<Row | null>(null);
  const box = useRef<HTMLInputElement>(null);
  const all = tail.rows.value;
  const rows = useMemo(() => (words ? all.filter((r) => matches(r, words.toLowerCase())) : all), [all, words]);
  const wanted = place.value.query.get('event');
  const shown = picked ?? (wanted ? (all.find((r) => r.id === wanted) ?? null) : null);
  const choose = (r: Row | null) => {
    pick(r);
    setQuery({ event: r?.id ?? '' }, true);
  };
  const step = (by: number) => {
    const usable = rows.filter((r) => !r.notice);
    const i = usable.findIndex((r) => r.n === shown?.n);
    const next = usable[i < 0 ? 0 : Math.min(usable.length - 1, Math.max(0, i + by))];
    if (next) choose(next);
  };
  const latest = useRef({ step, choose });
  latest.current = { step, choose };
  useKeys(() => [
    { keys: 'f', does: 'freeze, or go live again', run: () => tail.freeze(!tail.frozen.value) },
    { keys: '/', does: 'filter', run: () => box.current?.focus() },
    ...['j', 'ArrowDown'].map((keys) => ({ keys, does: 'next event down', run: () => latest.current.step(1) })),
    ...['k', 'ArrowUp'].map((keys) => ({ keys, does: 'next event up', run: () => latest.current.step(-1) })),
    { keys: 'Escape', does: 'close the event', run: () => latest.current.choose(null) },
  ]);
  return (
    <section class="events" aria-label="Events">
      <div class="toolbar">
        <Live tail={tail} />
        <Seek from={from} />
        <span class="spring" />
        <input ref={box} type="search" class="filter" placeholder="Filter these rows" aria-label="Filter the rows shown" value={words} onInput={(e) => { setWords(e.currentTarget.value); setQuery({ filter: e.currentTarget.value }, true); }} />
      </div>
      {tail.problem.value && tail.problem.value.status !== 401 && <ErrorPanel problem={tail.problem.value} />}
      {tail.more.value && <button class="page" disabled={tail.loading.value} onClick={tail.newer}>Newer events ↑</button>}
      <div class={shown ? 'split open' : 'split'}>
        <div class="list">
          {rows.length > 0 ? <Rows rows={rows} selected={shown?.n ?? -1} onSelect={choose} /> : <Nothing topic={topic} loading={tail.loading.value} filtered={all.length > 0} failed={!!tail.problem.value} />}
        </div>
        {shown && <Detail key={shown.n} row={shown} onClose={() => choose(null)} />}
      </div>
      <footer class="list-foot">
        <span class="muted small" data-testid="shown">{count(rows.length)} {rows.length === 1 ? 'row' : 'rows'}{words && ` of ${count(all.length)}`}{tail.dropped.value > 0 && ` · ${count(tail.dropped.value)} let go beyond ${count(maxRows)}`}</span>
        <span class="spring" />
        {tail.before.value && <button class="quiet" disabled={tail.loading.value} onClick={tail.older}>Older events ↓</button>}
      </footer>
    </section>
  );
}

function Live({ tail }: { tail: Tail }) {
  const frozen = tail.frozen.value;
  return (
    <div class="stream">
      <div class="switch" role="group" aria-label="Stream">
        <button aria-pressed={!frozen} onClick={() => tail.freeze(false)}>Live</button>
        <button aria-pressed={frozen} onClick={() => tail.freeze(true)} title="f">Freeze</button>
      </div>
      <span class="muted small" data-testid="waiting">{frozen ? (tail.waiting.value ? `${count(tail.waiting.value)} waiting` : '') : tail.rate.value ? `${count(tail.rate.value)}/s` : ''}</span>
    </div>
  );
}

function Nothing({ topic, loading, filtered, failed }: { topic: string; loading: boolean; filtered: boolean; failed: boolean }) {
  if (failed) return <Empty title="Not read" />;
  if (loading) return <p class="muted pad" role="status">Loading…</p>;
  if (filtered) return <Empty title="No row matches the filter" />;
  return <Empty title="Nothing here yet" command={cli(`parley pub ${sh(topic)} '{"hello": "world"}'`)}>Events appear as they are published.</Empty>;
}
