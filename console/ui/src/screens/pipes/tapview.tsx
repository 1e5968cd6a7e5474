import { useEffect, useRef, useState } from 'preact/hooks';
import { Code } from '../../code';
import { clock, count } from '../../format';
import { useKeys } from '../../keys';
import { ErrorPanel } from '../../ui';
import { isJSON, type Row } from '../topics/event';
import { layout } from '../topics/rawjson';
import { partsOf, type Explained } from './model';
import { tapStep } from './snippets';
import { kept, Tap, type Record } from './tap';

/** What passes a step: each event before, and what came of it. */
export function TapView({ pipe, step, onClose }: { pipe: string; step: Explained; onClose: () => void }) {
  const [tap, setTap] = useState<Tap | null>(null);
  useEffect(() => {
    const next = new Tap(pipe, step.path);
    setTap(next);
    void next.listen();
    return () => next.close();
  }, [pipe, step.path]);
  const box = useRef<HTMLElement>(null);
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), [tap]);
  const frozen = tap?.frozen.value ?? false;
  useKeys(() => [
    { keys: 'f', does: 'freeze the tap, or go live', run: () => tap?.freeze(!frozen) },
    { keys: 'Escape', does: 'close the tap', run: onClose },
  ], [tap, frozen]);
  if (!tap) return null;
  const records = tap.records.value, dropped = tap.dropped.value;
  return (
    <section ref={box} class="panel tap-panel" aria-label={`Tap of ${step.brief}`} data-testid="tap">
      <div class="toolbar">
        <h2>Tap of <span class="mono">{step.brief}</span></h2>
        <span class="switch"><button aria-pressed={!frozen} title="f" onClick={() => tap.freeze(false)}>Live</button><button aria-pressed={frozen} title="f" onClick={() => tap.freeze(true)}>Freeze</button></span>
        <span class="muted small" role="status"><span data-testid="shown">{count(tap.shown.value)}</span> shown, <span class={dropped ? 'warn' : ''} data-testid="dropped">{count(dropped)}</span> more passed and are not shown</span>
        <span class="spring" />
        <button class="quiet" onClick={() => tap.clear()}>Clear</button>
        <button class="quiet icon" aria-label="Close the tap" title="Escape" onClick={onClose}>×</button>
      </div>
      {tap.problem.value && tap.problem.value.status !== 401 && <div class="pad"><ErrorPanel problem={tap.problem.value} /></div>}
      {records.length === 0 && !tap.problem.value && <p class="muted pad" role="status">{tap.open.value ? 'Waits for the next event. A tap shows what passes from now on, and holds nothing up.' : 'Connecting…'}</p>}
      <ol class="tapped">{records.map((r) => <Tapped key={r.key} r={r} kind={partsOf(step.brief)[0]} onOpen={() => tap.freeze(true)} />)}</ol>
      {records.length === kept && <p class="muted small note">The last {kept}.</p>}
      <Code of={tapStep(pipe, step.path)} />
    </section>
  );
}

/** What is said of an event on one line. */
const line = (row: Row) => (row.bytes < 0 ? 'no data' : row.base64 ? `${row.bytes} bytes` : row.data).slice(0, 160);

/** A record; while it is looked at, no others come. */
function Tapped({ r, kind, onOpen }: { r: Record; kind: string; onOpen: () => void }) {
  const [open, setOpen] = useState(false);
  const came = r.after.length > 1 ? `${r.after.length} events` : r.after[0] ? line(r.after[0]) : '';
  return (
    <li>
      <details onToggle={(e) => { setOpen(e.currentTarget.open); if (e.currentTarget.open) onOpen(); }}>
        <summary>
          <span class="when">{clock(r.time)}</span>
          <span class="was">{r.before ? line(r.before) : <span class="muted">kept from before</span>}</span>
          <span class="arrow-to" aria-hidden="true">→</span>
          {r.failed ? <span class="became bad">failed: {r.failed.cause}</span> : came ? <span class="became">{came}</span> : <span class="became muted">{kind === 'topic' || kind === 'http' || kind === 'discard' ? 'written' : 'nothing: left out, or kept'}</span>}
        </summary>
        {open && (
          <div class="tapped-body">
            <div><h3>Before</h3>{r.before ? <Event row={r.before} /> : <p class="muted">The stage had kept it.</p>}</div>
            <div>
              <h3>After</h3>
              {r.failed && <p class="bad">After {r.failed.attempts === 1 ? 'one try' : `${r.failed.attempts} tries`}: {r.failed.cause}</p>}
              {r.after.map((a) => <Event key={a.n} row={a} was={r.before} />)}
              {!r.after.length && !r.failed && <p class="muted">Nothing came out.</p>}
            </div>
          </div>
        )}
      </details>
    </li>
  );
}

/** An event with the attributes that matter: those that are other than before. */
function Event({ row, was }: { row: Row; was?: Row | null }) {
  const before = new Map(was?.attributes);
  const shown = was ? row.attributes.filter(([name, value]) => before.get(name) !== value) : row.attributes;
  return (
    <>
      {shown.length > 0 && <dl class="attributes">{shown.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>}
      <pre tabIndex={0} class="tapped-data">{row.bytes >= 0 && isJSON(row.media) && !row.base64 ? layout(row.data).map(([kind, t]) => (kind === 'mark' ? t : <span class={`j-${kind}`}>{t}</span>)) : line(row)}</pre>
    </>
  );
}
