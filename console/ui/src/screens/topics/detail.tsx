import { useState } from 'preact/hooks';
import { bytes } from '../../format';
import { Copy, Tabs } from '../../ui';
import { dataBytes, isJSON, type Row } from './event';
import { layout } from './rawjson';

// Beyond these the page would be slow; the whole is a copy away.
const maxFormatted = 200_000, maxRaw = 8192;

/** All of one event. */
export function Detail({ row, onClose }: { row: Row; onClose: () => void }) {
  const [view, setView] = useState<'formatted' | 'raw'>('formatted');
  return (
    <aside class="detail" aria-label="Event">
      <header>
        <h2 class="mono">{row.type || 'event'}</h2>
        <button class="quiet icon" aria-label="Close the event" title="Escape" onClick={onClose}>×</button>
      </header>
      <dl class="attributes">
        {row.attributes.map(([name, value]) => (
          <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
        ))}
      </dl>
      <div class="detail-bar">
        <Tabs label="Data" tabs={[['formatted', 'Formatted'], ['raw', 'Raw bytes']]} value={view} onChange={setView} />
        <span class="muted small">{row.bytes < 0 ? 'no data' : bytes(row.bytes)}</span>
        <span class="spring" />
        <Copy text={() => row.data} label="Copy data" />
      </div>
      <div class="data" tabIndex={0} aria-label="Data">
        {view === 'formatted' ? <Formatted row={row} /> : <Raw row={row} />}
      </div>
    </aside>
  );
}

function Formatted({ row }: { row: Row }) {
  if (row.bytes < 0) return <p class="muted">This event has no data.</p>;
  if (row.base64) return <p class="muted">These are bytes of {row.media || 'no stated type'}: see Raw bytes.</p>;
  if (!isJSON(row.media)) return <pre>{row.data}</pre>;
  const text = row.data.slice(0, maxFormatted);
  return (
    <pre>
      {layout(text).map(([kind, t]) => (kind === 'mark' ? t : <span class={`j-${kind}`}>{t}</span>))}
      {text.length < row.data.length && <span class="muted">{'\n'}… {bytes(row.data.length - text.length)} more</span>}
    </pre>
  );
}

/** The bytes as they were published: offset, hexadecimal, text. */
function Raw({ row }: { row: Row }) {
  const all = dataBytes(row);
  const lines: string[] = [];
  for (let at = 0; at < Math.min(all.length, maxRaw); at += 8) {
    const part = [...all.subarray(at, at + 8)];
    const hex = part.map((b) => b.toString(16).padStart(2, '0')).join(' ');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(23)}  ${part.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : '·')).join('')}`);
  }
  return (
    <pre class="hex">
      {lines.join('\n')}
      {all.length > maxRaw && <span class="muted">{'\n'}… {bytes(all.length - maxRaw)} more</span>}
    </pre>
  );
}
