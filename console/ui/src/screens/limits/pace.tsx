import { count } from '../../format';
import { admitted, refused, type Limit } from './model';

/** What a limit decided between two looks, in decisions a second. */
export interface Sample { at: number; admitted: number; refused: number; totals: [number, number] }

const kept = 60;

/** Adds a look. One at a limit that has begun to count anew starts over. */
export function samples(all: Sample[], limit: Limit, at: number): Sample[] {
  const totals: [number, number] = [admitted(limit.counts), refused(limit.counts)];
  const last = all[all.length - 1];
  if (!last || totals[0] < last.totals[0] || totals[1] < last.totals[1]) return [{ at, admitted: 0, refused: 0, totals }];
  const seconds = (at - last.at) / 1000;
  if (seconds < 0.2) return all; // a look in between, by hand
  return [...all, { at, admitted: (totals[0] - last.totals[0]) / seconds, refused: (totals[1] - last.totals[1]) / seconds, totals }].slice(-kept - 1);
}

const height = 84, step = 10, bar = 8;
const rate = (n: number) => (n === 0 ? '0' : n < 10 ? n.toFixed(1) : count(Math.round(n)));

/** The last minute: what was admitted, and what was refused on top of it. */
export function Pace({ limit, history }: { limit: Limit; history: Sample[] }) {
  const bars = history.slice(1);
  const most = Math.max(1, ...bars.map((s) => s.admitted + s.refused));
  const now = bars[bars.length - 1];
  const y = (n: number) => (n / most) * (height - 4);
  const word = limit.mode === 'shadow' ? 'would be refused' : 'refused';
  return (
    <section class="panel pace" aria-label="The last minute">
      <div class="toolbar">
        <h2>The last minute</h2>
        <span class="spring" />
        <span class="small"><i class="swatch good" aria-hidden="true" />{rate(now?.admitted ?? 0)}/s admitted</span>
        <span class="small"><i class="swatch bad" aria-hidden="true" />{rate(now?.refused ?? 0)}/s {word}</span>
      </div>
      <svg viewBox={`0 0 ${kept * step} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${rate(now?.admitted ?? 0)} a second admitted, ${rate(now?.refused ?? 0)} ${word}; at most ${rate(most)} in a second of the last minute`}>
        {bars.map((s, i) => {
          const x = (kept - bars.length + i) * step, a = y(s.admitted), r = y(s.refused);
          return (
            <g key={s.at}>
              <rect class="good" x={x} width={bar} y={height - a} height={a} />
              <rect class="bad" x={x} width={bar} y={height - a - r} height={r} />
            </g>
          );
        })}
        <line x1={0} x2={kept * step} y1={height - 0.5} y2={height - 0.5} />
      </svg>
      <div class="pace-axis muted small" aria-hidden="true"><span>a minute ago</span><span>{bars.some((s) => s.admitted + s.refused > 0) && `at most ${rate(most)}/s`}</span><span>now</span></div>
    </section>
  );
}
