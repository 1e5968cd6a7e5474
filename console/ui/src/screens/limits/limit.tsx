import { useEffect, useState } from 'preact/hooks';
import { json, problemOf, type Problem } from '../../api';
import { cli, Code, sh } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import { DeleteDialog, EditDialog } from './edit';
import { KeyTable } from './keys';
import { admitted, held, limitPath, manner, refused, tidy, type Limit, type View } from './model';
import { Pace, samples, type Sample } from './pace';
import { topKeys } from './snippets';
import { Try } from './try';

/** What is known of a limit: all of it, or what somebody who is no admin may see. */
type Known = { limit: Limit; top: View['top'] | null; secret: Problem | null };

async function know(name: string, by: string, signal: AbortSignal): Promise<Known> {
  try {
    const view = await json<View>(`${limitPath(name, 'keys')}?by=${by}`, { signal });
    return { limit: view, top: view.top, secret: null };
  } catch (err) {
    if (problemOf(err).status !== 403) throw err;
    return { limit: await json<Limit>(limitPath(name), { signal }), top: null, secret: problemOf(err) };
  }
}

/** One limit: what it does now, to whom, and a form to try it. */
export function LimitScreen({ name }: { name: string }) {
  const by = place.value.query.get('by') === 'spent' ? 'spent' : 'refused';
  const { value, problem, look } = usePoll((signal) => know(name, by, signal), 1000, [name, by]);
  const [dialog, open] = useState<'' | 'edit' | 'delete'>('');
  const [history, setHistory] = useState<Sample[]>([]);
  const [key, setKey] = useState('ann');
  useEffect(() => {
    if (value) setHistory((all) => samples(all, value.limit, Date.now()));
  }, [value]);
  const limit = value?.limit, fixed = limit?.origin === 'config';
  useKeys(() => [
    { keys: 'e', does: 'change the limit', run: () => { if (limit && !fixed) open('edit'); } },
    { keys: 's', does: 'sort by refusals, or by what is spent', run: () => setQuery({ by: by === 'spent' ? '' : 'spent' }, true) },
  ], [!limit || fixed, by]);
  if (problem?.status === 404) return <Missing name={name} onMade={look} />;
  return (
    <div class="screen">
      <header class="screen-head">
        <h1><a href="/limits" class="crumb">Limits</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1>
        {limit?.mode === 'shadow' && <span class="tag">shadow</span>}
        {limit?.shared && <span class="tag" title="counted for all servers together; decisions are this server's">all servers</span>}
        {fixed && <span class="tag" title="change it in the server's configuration">from the configuration</span>}
        <span class="spring" />
        <button disabled={!limit || fixed} title={fixed ? "it is in the server's configuration" : 'e'} onClick={() => open('edit')}>Change</button>
        <button class="danger-quiet" disabled={!limit || fixed} onClick={() => open('delete')}>Delete</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!limit && !problem && <p class="muted pad" role="status">Loading…</p>}
      {limit && (
        <>
          <Facts limit={limit} />
          <div class="limit-body">
            <div class="stack">
              <Pace limit={limit} history={history} />
              <section class="panel keys-panel" aria-label="Busiest keys">
                <div class="toolbar">
                  <h2>Busiest keys</h2>
                  <span class="spring" />
                  <div class="switch" role="group" aria-label="Order" title="s">
                    <button aria-pressed={by === 'refused'} onClick={() => setQuery({ by: '' }, true)}>Refused</button>
                    <button aria-pressed={by === 'spent'} onClick={() => setQuery({ by: 'spent' }, true)}>Spent</button>
                  </div>
                </div>
                {value.secret && <ErrorPanel problem={value.secret} />}
                {value.top && <KeyTable limit={limit} keys={value.top} onPick={held(limit) ? undefined : setKey} />}
              </section>
            </div>
            <Try limit={limit} userKey={key} onKey={setKey} onDone={look} />
          </div>
        </>
      )}
      <Code of={topKeys(name, by)} />
      {dialog === 'edit' && limit && <EditDialog limit={limit} onClose={() => open('')} onDone={look} />}
      {dialog === 'delete' && limit && <DeleteDialog limit={limit} onClose={() => open('')} onDone={() => go(to(['limits']))} />}
    </div>
  );
}

function Missing({ name, onMade }: { name: string; onMade: () => void }) {
  const [creating, create] = useState(false);
  return (
    <div class="screen">
      <header class="screen-head"><h1><a href="/limits" class="crumb">Limits</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1></header>
      <Empty title={`There is no limit ${name}`} command={cli(`parley throttle put ${sh(name)} --limit 5/15m`)}>Make it with a command, or <button class="link" onClick={() => create(true)}>here</button>.</Empty>
      {creating && <EditDialog onClose={() => create(false)} onDone={(l) => (l.name === name ? onMade() : go(to(['limits', l.name])))} />}
    </div>
  );
}

function Facts({ limit: l }: { limit: Limit }) {
  return (
    <dl class="facts">
      <div><dt>How much</dt><dd class="mono">{tidy(l.limit)}</dd></div>
      <div><dt>Algorithm</dt><dd>{l.algorithm}</dd></div>
      <div><dt>Counted by</dt><dd class="mono">{l.key}</dd></div>
      <div><dt>Applied to</dt><dd class={l.on?.length ? 'mono' : ''}>{l.on?.length ? l.on.join(' ') : 'checks alone'}</dd></div>
      <div><dt>Too much is</dt><dd>{manner(l)}</dd></div>
      {!l.shared && <div><dt>Keys held</dt><dd>{count(l.keys)}</dd></div>}
      <div><dt>In line</dt><dd>{count(l.waiting)}</dd></div>
      <div><dt>Admitted</dt><dd>{count(admitted(l.counts))}{l.counts.shaped > 0 && <span class="muted small"> {count(l.counts.shaped)} after a wait</span>}</dd></div>
      <div><dt>{l.mode === 'shadow' ? 'Would be refused' : 'Refused'}</dt><dd>{count(refused(l.counts))}</dd></div>
    </dl>
  );
}
