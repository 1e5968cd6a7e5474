import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { bytes, ms } from '../../format';
import { arrange, until, type Drawn, type Pause } from './layout';
import type { Message } from './run';

const rowHeight = 22, headHeight = 44, axis = 76, laneWidth = 128, inset = 20, spare = 12;

/** A sequence diagram of real messages: a pair of lifelines for each lane, time going down. */
export function Sequence({ trace, lanes, now, running, selected, onSelect }: { trace: Message[]; lanes: [string, string][]; now: number; running: boolean; selected: Message | null; onSelect: (m: Message) => void }) {
  const { drawn, pauses, rows } = useMemo(() => arrange(trace, lanes.map(([l]) => l)), [trace, lanes]);
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, width: 800 });
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const see = () => setView({ top: el.scrollTop, height: el.clientHeight, width: el.clientWidth });
    const size = new ResizeObserver(see);
    size.observe(el);
    el.addEventListener('scroll', see, { passive: true });
    return () => {
      size.disconnect();
      el.removeEventListener('scroll', see);
    };
  }, []);
  const width = Math.max(view.width, axis + lanes.length * laneWidth);
  const each = (width - axis) / lanes.length;
  const height = headHeight + rows * rowHeight + 16;
  const y = (row: number) => headHeight + row * rowHeight + rowHeight / 2;
  const inSight = (row: number) => y(row) > view.top - spare * rowHeight && y(row) < view.top + view.height + spare * rowHeight;
  const seen = until(drawn, now);
  const end = seen.length ? y(seen.reduce((a, d) => Math.max(a, d.row), 0)) + rowHeight / 2 : headHeight;
  useEffect(() => {
    const el = box.current;
    if (el && !selected && end > el.scrollTop + el.clientHeight) el.scrollTop = end - el.clientHeight + rowHeight;
  }, [end]);
  useEffect(() => {
    if (!running) box.current?.scrollTo(0, 0); // it is read from the beginning
  }, [running]);
  return (
    <div class="sequence" ref={box} tabIndex={0} role="group" aria-label="Sequence diagram; the table has the same messages">
      <svg width={width} height={Math.max(height, view.height - 2)} role="img" aria-label={`${seen.length} messages in ${lanes.length} lanes`}>
        {lanes.map(([lane], i) => (
          <g key={lane} class="lifelines">
            <line x1={axis + i * each + inset} x2={axis + i * each + inset} y1={headHeight} y2={Math.max(end, headHeight + 8)} />
            <line x1={axis + (i + 1) * each - inset} x2={axis + (i + 1) * each - inset} y1={headHeight} y2={Math.max(end, headHeight + 8)} />
          </g>
        ))}
        {pauses.filter((p) => p.t <= now && inSight(p.row)).map((p) => <Gap key={p.row} pause={p} y={y(p.row)} width={width} />)}
        {seen.filter((d) => inSight(d.row)).map((d) => (
          <Arrow key={`${d.column} ${d.row}`} of={d} left={axis + d.column * each + inset} right={axis + (d.column + 1) * each - inset} y={y(d.row)} selected={d.m === selected} onSelect={onSelect} />
        ))}
        <g class="seq-head" transform={`translate(0 ${view.top})`}>
          <rect width={width} height={headHeight - 6} />
          <text x={12} y={28} class="end">time</text>
          {lanes.map(([lane, title], i) => (
            <g key={lane}>
              <text x={axis + (i + 0.5) * each} y={16} text-anchor="middle" class="lane">{title}</text>
              <text x={axis + i * each + inset} y={32} text-anchor="middle" class="end">client</text>
              <text x={axis + (i + 1) * each - inset} y={32} text-anchor="middle" class="end">server</text>
            </g>
          ))}
        </g>
      </svg>
    </div>
  );
}

function Gap({ pause, y, width }: { pause: Pause; y: number; width: number }) {
  return (
    <g class="gap">
      <line x1={axis} x2={width - 8} y1={y} y2={y} />
      <text x={12} y={y + 4}>{(pause.t / 1000).toFixed(3)} s</text>
    </g>
  );
}

function Arrow({ of: { m }, left, right, y, selected, onSelect }: { of: Drawn; left: number; right: number; y: number; selected: boolean; onSelect: (m: Message) => void }) {
  const from = m.server ? right : left, to = m.server ? left : right, head = m.server ? 5 : -5;
  return (
    <g class={`arrow ${m.kind}${m.empty ? ' empty-answer' : ''}${selected ? ' selected' : ''}`} data-kind={m.kind} data-lane={m.lane} onClick={() => onSelect(m)}>
      <title>{`${ms(m.t)} ms · ${m.label} · ${bytes(m.bytes)}`}</title>
      <rect x={left - 4} y={y - rowHeight / 2} width={right - left + 8} height={rowHeight} class="hit" />
      <line x1={from} x2={to} y1={y + 5} y2={y + 5} />
      <path d={`M${to + head} ${y + 1.5} L${to} ${y + 5} L${to + head} ${y + 8.5}`} />
      <text x={(left + right) / 2} y={y + 1} text-anchor="middle">{short(m, right - left)}<tspan class="size"> {m.bytes}</tspan></text>
    </g>
  );
}

/** The label as far as there is room: about six units a letter. */
function short(m: Message, width: number): string {
  const label = m.label.replace(/^([A-Z]+) \/.*/, '$1').replace(/^200 OK · /, '').replace(/^(\d+) [A-Z][A-Za-z ]*$/, '$1').replace(/^text frame · /, '').replace('opening frame', 'opening');
  const room = Math.floor(width / 6) - 4;
  return label.length > room ? label.slice(0, Math.max(3, room - 1)) + '…' : label;
}
