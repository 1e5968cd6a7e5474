import { useState } from 'preact/hooks';
import { bytes, count, ms } from '../../format';
import { Copy, Tabs } from '../../ui';
import { Player } from './player';
import type { Message } from './run';
import { Sequence } from './sequence';

/** What went over the wire: as a diagram or a table, and each message as it was. */
export function Messages({ trace, lanes, running, truncated, now, onNow }: { trace: Message[]; lanes: [string, string][]; running: boolean; truncated: number; now: number; onNow: (t: number) => void }) {
  const [view, setView] = useState<'diagram' | 'table'>('diagram');
  const [picked, pick] = useState<Message | null>(null);
  const titles = Object.fromEntries(lanes);
  return (
    <section class="panel trace" aria-label="Messages">
      <div class="toolbar">
        <Tabs label="View" tabs={[['diagram', 'Diagram'], ['table', 'Table']]} value={view} onChange={setView} />
        <span class="spring" />
        {!running && <Player trace={trace} now={now} onNow={onNow} />}
      </div>
      <div class={picked ? 'split open' : 'split'}>
        {view === 'diagram' ? <Sequence trace={trace} lanes={lanes} now={now} running={running} selected={picked} onSelect={pick} /> : <TraceTable trace={trace} titles={titles} now={now} onSelect={pick} />}
        {picked && <Wire m={picked} title={titles[picked.lane] ?? picked.lane} onClose={() => pick(null)} />}
      </div>
      {truncated > 0 && <p class="muted small pad">{count(truncated)} more messages were counted and are not shown.</p>}
    </section>
  );
}

/** One message as it went over the wire. */
function Wire({ m, title, onClose }: { m: Message; title: string; onClose: () => void }) {
  return (
    <aside class="detail" aria-label="Message">
      <header><h2>{m.label}</h2><button class="quiet icon" aria-label="Close the message" onClick={onClose}>×</button></header>
      <dl class="attributes">
        <div><dt>lane</dt><dd>{title}, connection {m.conn}</dd></div>
        <div><dt>from</dt><dd>{m.server ? 'server' : 'client'}</dd></div>
        <div><dt>at</dt><dd>{ms(m.t)} ms</dd></div>
        <div><dt>bytes</dt><dd>{count(m.bytes)}</dd></div>
        {!!m.events && <div><dt>events</dt><dd>{m.events}</dd></div>}
      </dl>
      <div class="detail-bar"><span class="label">On the wire</span><span class="spring" /><Copy text={() => m.raw} /></div>
      <div class="data" tabIndex={0}><pre>{m.raw}</pre></div>
    </aside>
  );
}

const tableRows = 500;

/** The same messages for a screen reader, and for whoever likes tables. */
function TraceTable({ trace, titles, now, onSelect }: { trace: Message[]; titles: Record<string, string>; now: number; onSelect: (m: Message) => void }) {
  const seen = trace.filter((m) => m.t <= now).sort((a, b) => a.t - b.t);
  return (
    <div class="sequence">
      <table class="grid dense">
        <thead><tr><th scope="col" class="num">ms</th><th scope="col">Lane</th><th scope="col">From</th><th scope="col">Message</th><th scope="col" class="num">Bytes</th></tr></thead>
        <tbody>
          {seen.slice(0, tableRows).map((m, i) => (
            <tr key={i}><td class="num">{ms(m.t)}</td><td>{titles[m.lane]}</td><td>{m.server ? 'server' : 'client'}</td><td><button class="link" onClick={() => onSelect(m)}>{m.label}</button></td><td class="num" title={bytes(m.bytes)}>{count(m.bytes)}</td></tr>
          ))}
        </tbody>
      </table>
      {seen.length > tableRows && <p class="muted small pad">The first {count(tableRows)} of {count(seen.length)} messages.</p>}
    </div>
  );
}
