import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { bytes, clock } from '../../format';
import type { Row } from './event';

const height = 28; // of a row, as in the style sheet
const spare = 8; // rows above and below what is seen

/** The rows that are in sight, of any number. What somebody looks at stays where it is when rows come in above it. */
export function Rows({ rows, selected, onSelect }: { rows: Row[]; selected: number; onSelect: (r: Row) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const newest = useRef(-1);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const see = () => setView({ top: el.scrollTop, height: el.clientHeight });
    const size = new ResizeObserver(see);
    size.observe(el);
    el.addEventListener('scroll', see, { passive: true });
    return () => {
      size.disconnect();
      el.removeEventListener('scroll', see);
    };
  }, []);
  useLayoutEffect(() => {
    const el = box.current;
    if (el && el.scrollTop > height && newest.current >= 0) {
      const above = rows.findIndex((r) => r.n === newest.current);
      if (above > 0) el.scrollTop += above * height;
    }
    newest.current = rows[0]?.n ?? -1;
  }, [rows]);
  useLayoutEffect(() => {
    const el = box.current, i = rows.findIndex((r) => r.n === selected);
    if (!el || i < 0) return;
    if (i * height < el.scrollTop) el.scrollTop = i * height;
    else if ((i + 1) * height > el.scrollTop + el.clientHeight) el.scrollTop = (i + 1) * height - el.clientHeight;
  }, [selected]);
  const first = Math.max(0, Math.floor(view.top / height) - spare);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / height) + spare);
  const active = rows.slice(first, last).some((r) => r.n === selected);
  return (
    <div ref={box} class="rows" role="listbox" aria-label="Events, newest first" tabIndex={0} aria-activedescendant={active ? `row-${selected}` : undefined}>
      <div class="rows-all" style={{ height: `${rows.length * height}px` }}>
        {rows.slice(first, last).map((r, i) => (
          <Line key={r.n} row={r} top={(first + i) * height} index={first + i} total={rows.length} selected={r.n === selected} onSelect={onSelect} />
        ))}
      </div>
    </div>
  );
}

function Line({ row, top, index, total, selected, onSelect }: { row: Row; top: number; index: number; total: number; selected: boolean; onSelect: (r: Row) => void }) {
  const style = { transform: `translateY(${top}px)` };
  if (row.notice) return <div class="row notice" role="option" aria-selected={false} style={style}>{row.notice}</div>;
  return (
    <div id={`row-${row.n}`} class="row" role="option" aria-selected={selected} aria-posinset={index + 1} aria-setsize={total} style={style} onClick={() => onSelect(row)}>
      <span class="when">{clock(row.time)}</span>
      <span class={row.type === 'parley.event' ? 'type plain' : 'type'}>{row.type}</span>
      <span class="key">{row.key}</span>
      <span class="size">{row.bytes < 0 ? '' : bytes(row.bytes)}</span>
      <span class="preview">{row.bytes < 0 ? 'no data' : row.base64 ? 'bytes' : row.data.slice(0, 300)}</span>
    </div>
  );
}
