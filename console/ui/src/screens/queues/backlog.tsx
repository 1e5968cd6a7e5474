import { useEffect, useMemo, useRef } from 'preact/hooks';
import { Code } from '../../code';
import { count } from '../../format';
import { lasting, type Queue } from './model';
import { areas, backlog, ceiling, pace, spanOf, type Sample } from './samples';
import { showQueue } from './snippets';

export const rate = (n: number) => (n === 0 ? '0' : n < 10 ? n.toFixed(1) : count(Math.round(n)));

// The right edge is this much ago: what is drawn there is known already.
const lag = 800;

/** How many jobs there are, over time, and at what pace they come and go. */
export function Backlog({ queue, history }: { queue: Queue; history: Sample[] }) {
  const last = history[history.length - 1];
  const p = pace(history);
  const most = ceiling(Math.max(...history.map(backlog), 1));
  const s = queue.stats;
  return (
    <section class="panel backlog" aria-label="Backlog">
      <div class="toolbar">
        <h2>Backlog</h2>
        <strong class="backlog-now" data-testid="backlog">{count(last ? backlog(last) : 0)}</strong>
        <span class="muted small" data-testid="left">{queue.paused ? 'paused: nothing is leased' : p.left !== null ? `empty in about ${lasting(p.left)}` : ''}</span>
        <span class="spring" />
        <span class="small"><i class="swatch ready" aria-hidden="true" />{count(s?.ready ?? 0)} ready</span>
        <span class="small"><i class="swatch delayed" aria-hidden="true" />{count(s?.delayed ?? 0)} delayed</span>
        <span class="small"><i class="swatch leased" aria-hidden="true" />{count(s?.leased ?? 0)} leased</span>
        <span class="small"><span aria-hidden="true">↓ </span>{rate(p.enqueued)}/s enqueued</span>
        <span class="small good"><span aria-hidden="true">↑ </span>{rate(p.done)}/s done</span>
      </div>
      <Chart history={history} most={most} />
      <Code of={showQueue(queue.name)} />
    </section>
  );
}

/** Stacked areas that slide: looks come twice a second, the picture moves pixel by pixel. */
function Chart({ history, most }: { history: Sample[]; most: number }) {
  const svg = useRef<SVGSVGElement>(null);
  const began = useMemo(() => Date.now(), []);
  const age = history.length ? Date.now() - history[0]!.at : 0;
  const span = spanOf(age);
  const drawn = useMemo(() => areas(history, began), [history]);
  useEffect(() => {
    let frame = 0;
    let shown = -Infinity;
    const show = () => {
      const el = svg.current, from = Date.now() - lag - span - began;
      if (!el || from - shown < span / Math.max(el.clientWidth, 1)) return; // it would not move by a pixel
      shown = from;
      el.setAttribute('viewBox', `${from / 100} 0 ${span / 100} 1`);
    };
    const slide = () => {
      show();
      frame = requestAnimationFrame(slide);
    };
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      const timer = setInterval(show, 500);
      show();
      return () => clearInterval(timer);
    }
    slide();
    return () => cancelAnimationFrame(frame);
  }, [span]);
  const now = history[history.length - 1];
  return (
    <>
      <div class="backlog-chart">
        <svg ref={svg} viewBox={`0 0 ${span / 100} 1`} preserveAspectRatio="none" role="img" aria-label={`${count(now ? backlog(now) : 0)} jobs now; at most ${count(Math.max(0, ...history.map(backlog)))} since the page was opened`}>
          <g transform={`matrix(1 0 0 ${-0.96 / most} 0 1)`}>
            {drawn.map((a) => <path key={a.series} class={a.series} d={a.d} />)}
          </g>
        </svg>
        <span class="scale muted small" aria-hidden="true">{count(most)}</span>
        {most % 2 === 0 && <span class="scale half muted small" aria-hidden="true">{count(most / 2)}</span>}
      </div>
      <div class="pace-axis muted small" aria-hidden="true"><span>{lasting(span)} ago</span><span>now</span></div>
    </>
  );
}
