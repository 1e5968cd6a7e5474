import { bytes, count, ms } from '../../format';
import type { Figures, Request } from './run';

const seconds = (text: string) => (text.endsWith('ms') ? parseFloat(text) / 1000 : /^(?:\d+m)/.test(text) ? parseFloat(text) * 60 : parseFloat(text));

type Column = { title: string; hint?: string; value: (f: Figures) => number; show: (n: number, f: Figures) => string };
const columns: Column[] = [
  { title: 'Requests', value: (f) => f.requests, show: count },
  { title: 'Empty answers', value: (f) => f.empty, show: count },
  { title: 'Connections', value: (f) => f.connections, show: count },
  { title: 'Bytes up', hint: 'from client to server', value: (f) => f.bytes_in, show: bytes },
  { title: 'Bytes down', hint: 'from server to client', value: (f) => f.bytes_out, show: bytes },
  { title: 'Bytes an event', hint: 'both ways', value: (f) => (f.events ? (f.bytes_in + f.bytes_out) / f.events : 0), show: (n) => (n ? bytes(Math.round(n)) : '') },
  { title: 'p50, ms', hint: 'from publishing to receiving', value: (f) => f.latency.p50, show: (n, f) => (f.events ? ms(n) : '') },
  { title: 'p99, ms', hint: 'from publishing to receiving', value: (f) => f.latency.p99, show: (n, f) => (f.events ? ms(n) : '') },
];

/** What each lane cost, measured, side by side. The bars compare within a column. */
export function FigureTable({ figures, titles, request }: { figures: Figures[]; titles: Record<string, string>; request: Request }) {
  const lanes = figures.filter((f) => f.lane !== 'publisher');
  const most = columns.map((c) => Math.max(...lanes.map(c.value), 0));
  const polls = Math.round(seconds(request.duration) / seconds(request.every));
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Figures">
      <table class="grid figures" data-testid="figures">
        <thead>
          <tr><th scope="col">Lane</th><th scope="col" class="num">Delivered</th>{columns.map((c) => <th key={c.title} scope="col" class="num" title={c.hint}>{c.title}</th>)}</tr>
        </thead>
        <tbody>
          {lanes.map((f) => (
            <tr key={f.lane} data-lane={f.lane}>
              <th scope="row">{titles[f.lane]}</th>
              <td class="num">{f.events}{f.missing > 0 && <span class="warn"> −{f.missing}</span>}{f.duplicates > 0 && <span class="warn"> +{f.duplicates}</span>}</td>
              {columns.map((c, i) => (
                <td key={c.title} class="num">
                  {c.show(c.value(f), f)}
                  {lanes.some((l) => c.value(l) !== most[i]) && <meter class="bar" min={0} max={most[i] || 1} value={c.value(f)} aria-hidden="true" />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted small note">
        TCP payload with HTTP heads and frames, without TCP/IP and TLS. Short polling asks {request.duration} ÷ {request.every} ≈ {count(polls)} times however little happens; the others ask when there is something, or once.
      </p>
    </div>
  );
}
