import { useRef, useState } from 'preact/hooks';
import { json, token } from '../../api';
import { cli, Code } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, place, setQuery, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import { EditDialog } from './edit';
import { admitted, manner, refused, tidy, type Limit } from './model';
import { listLimits } from './snippets';

export function List() {
  const { value: limits, problem, look } = usePoll((signal) => json<{ limits: Limit[] }>('/v1/limits', { signal }).then((a) => a.limits), 1000, []);
  const [creating, create] = useState(false);
  const filter = place.value.query.get('filter') ?? '';
  const box = useRef<HTMLInputElement>(null);
  useKeys(() => [
    { keys: '/', does: 'filter', run: () => box.current?.focus() },
    { keys: 'n', does: 'new limit', run: () => create(true) },
  ]);
  const shown = limits?.filter((l) => l.name.toLowerCase().includes(filter.toLowerCase()));
  return (
    <div class="screen">
      <header class="screen-head">
        <h1>Limits</h1>
        {limits && limits.length > 0 && <span class="muted">{filter ? `${shown?.length} of ${count(limits.length)}` : count(limits.length)}</span>}
        <span class="spring" />
        <input ref={box} type="search" class="filter" placeholder="Filter by name" aria-label="Filter limits by name" value={filter} onInput={(e) => setQuery({ filter: e.currentTarget.value }, true)} />
        <button class="primary" onClick={() => create(true)}>New limit</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!limits && !problem && <p class="muted pad" role="status">Loading…</p>}
      {limits?.length === 0 && (
        <Empty title={token.value ? 'No limit that this token may see' : 'Nothing is limited'} command={cli("parley throttle put api --limit '100/1m burst=20' --on publish")}>
          A limit says how often something may happen, and what becomes of the rest: refused, made to wait, or only counted. See what each does in the <a href={to(['lab'], { show: 'strategies' })}>Lab</a>.
        </Empty>
      )}
      {limits && limits.length > 0 && shown?.length === 0 && <Empty title={`No limit's name contains “${filter}”`}><button class="quiet" onClick={() => setQuery({ filter: '' })}>Show all</button></Empty>}
      {shown && shown.length > 0 && <Table limits={shown} />}
      <Code of={listLimits()} />
      {creating && <EditDialog onClose={() => create(false)} onDone={(l) => { look(); go(to(['limits', l.name])); }} />}
    </div>
  );
}

function Table({ limits }: { limits: Limit[] }) {
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Limits">
      <table class="grid limits">
        <thead>
          <tr>
            <th scope="col">Name</th><th scope="col">How much</th><th scope="col">Counted by</th><th scope="col">Applied to</th><th scope="col">Too much is</th>
            <th scope="col" class="num">Keys</th><th scope="col" class="num">Waiting</th><th scope="col" class="num">Admitted</th><th scope="col" class="num">Refused</th>
          </tr>
        </thead>
        <tbody>
          {limits.map((l) => (
            <tr key={l.name} onClick={(e) => { if (!(e.target as Element).closest('a')) go(to(['limits', l.name])); }}>
              <th scope="row"><a href={to(['limits', l.name])}>{l.name}</a>{l.origin === 'config' && <span class="tag" title="it is in the server's configuration and changed there">config</span>}</th>
              <td><span class="mono">{tidy(l.limit)}</span><span class="below muted small">{l.algorithm}</span></td>
              <td class="mono">{l.key}</td>
              <td class="mono">{l.on?.length ? l.on.join(' ') : <span class="muted">checks</span>}</td>
              <td>{manner(l)}</td>
              <td class="num">{l.shared ? <span class="muted" title="counted for all servers together">shared</span> : count(l.keys)}</td>
              <td class="num">{count(l.waiting)}</td>
              <td class="num">{count(admitted(l.counts))}</td>
              <td class="num"><Refused of={l} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Refusals, with their share of all decisions as a bar. */
function Refused({ of }: { of: Limit }) {
  const n = refused(of.counts);
  return (
    <>
      {count(n)}
      <meter class="bar bad" min={0} max={n + admitted(of.counts) || 1} value={n} aria-hidden="true" />
    </>
  );
}
