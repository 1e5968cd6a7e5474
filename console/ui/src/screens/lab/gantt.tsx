import { ms } from '../../format';
import { useWidth } from '../../width';
import { letIn, type Call } from './limitrun';

const left = 6, right = 10, foot = 20, crowdHeight = 46;

/** What is drawn of a lane: what each of its callers asked, and what became of it. */
export interface Drawing {
  title: string;
  calls: Call[];
  callers: number;
  span: number; // milliseconds of the whole axis, the same in all lanes
  window: number;
  edge?: number; // when a window of the clock ends
  capacity?: number; // of places inside
  now: number;
}

/** A row for each caller, in the order in which they came; time goes to the right. */
export function Gantt(d: Drawing) {
  const { box, width } = useWidth(480);
  const row = Math.max(4, Math.min(13, Math.floor(190 / Math.max(1, d.callers))));
  const top = d.capacity ? crowdHeight + 12 : 8;
  const height = top + d.callers * row + foot;
  const x = (t: number) => left + (t / d.span) * (width - left - right);
  const y = (c: Call) => top + (c.call - 0.5) * row;
  const seen = d.calls.filter((c) => c.sent <= d.now);
  const admitted = seen.filter(letIn).length, refusals = seen.length - admitted;
  return (
    <div ref={box} class="gantt">
      <svg width={width} height={height} role="img" aria-label={`${d.title}: ${admitted} let in, ${refusals} refusals`}>
        <Axis d={d} x={x} top={top} bottom={height - foot} />
        {d.capacity && <Crowd calls={seen} capacity={d.capacity} now={d.now} x={x} />}
        {seen.map((c) => <Mark key={`${c.call} ${c.try}`} c={c} before={c.try > 1 ? seen.find((b) => b.call === c.call && b.try === c.try - 1) : undefined} x={x} y={y(c)} size={Math.min(row, 9)} now={d.now} />)}
        {d.now < d.span && <line class="moment" x1={x(d.now)} x2={x(d.now)} y1={0} y2={height - foot} />}
      </svg>
    </div>
  );
}

/** Whole steps of time, and the windows of the clock where the limit has such. */
function Axis({ d, x, top, bottom }: { d: Drawing; x: (t: number) => number; top: number; bottom: number }) {
  const steps = [100, 200, 500, 1000, 2000, 5000];
  const step = steps.find((s) => d.span / s <= 6) ?? 10000;
  const ticks = Array.from({ length: Math.floor(d.span / step) + 1 }, (_, i) => i * step);
  const edges = d.edge === undefined ? [] : Array.from({ length: Math.max(0, Math.floor((d.span - d.edge) / d.window) + 1) }, (_, i) => d.edge! + i * d.window);
  return (
    <g class="axis" aria-hidden="true">
      {ticks.map((t) => (
        <g key={t}>
          {d.edge === undefined && <line x1={x(t)} x2={x(t)} y1={top - 4} y2={bottom} />}
          <text x={Math.max(x(t), 10)} y={bottom + 14} text-anchor={t === 0 ? 'start' : 'middle'}>{t / 1000} s</text>
        </g>
      ))}
      {edges.map((t) => <line key={`e${t}`} class="edge" x1={x(t)} x2={x(t)} y1={0} y2={bottom}><title>a window of the clock ends</title></line>)}
      <line x1={left} x2={x(d.span)} y1={bottom} y2={bottom} />
    </g>
  );
}

/** One request: a line while it waits, then a dot, a cross, or the time inside. */
function Mark({ c, before, x, y, size, now }: { c: Call; before?: Call; x: (t: number) => number; y: number; size: number; now: number }) {
  const r = size / 2 - 0.5, over = c.done <= now, ok = letIn(c), at = x(Math.min(c.done, now));
  const text = `caller ${c.call}${c.try > 1 ? `, try ${c.try}` : ''}: sent at ${ms(c.sent)} ms, ${ok ? `let in after ${ms(c.done - c.sent)} ms` : `refused with ${c.status}${c.retry_after ? `, again in ${c.retry_after} s` : ''}`}${c.left ? `, left at ${ms(c.left)} ms` : ''}`;
  return (
    <g class="mark" data-lane={c.lane} data-ok={ok}>
      <title>{text}</title>
      {before && <line class="pause" x1={x(before.done) + r} x2={x(c.sent)} y1={y} y2={y} />}
      {at - x(c.sent) > 1 && <line class="wait" x1={x(c.sent)} x2={at} y1={y} y2={y} stroke-width={Math.max(1.5, size / 3)} />}
      {over && c.left !== undefined && <rect class="inside" x={at} width={Math.max(1, x(Math.min(c.left, now)) - at)} y={y - size / 2 + 0.5} height={size - 1} rx={2} />}
      {over && ok && c.left === undefined && <circle class="in" cx={at} cy={y} r={r} />}
      {over && !ok && <path class="out" d={`M${at - r} ${y - r}l${2 * r} ${2 * r}M${at + r} ${y - r}l${-2 * r} ${2 * r}`} />}
    </g>
  );
}

/** How many are inside over time, under the line of those who fit. */
function Crowd({ calls, capacity, now, x }: { calls: Call[]; capacity: number; now: number; x: (t: number) => number }) {
  const moves = calls.filter((c) => letIn(c) && c.left !== undefined).flatMap((c) => [[c.done, 1], [c.left!, -1]] as [number, number][])
    .filter(([t]) => t <= now).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const most = Math.max(capacity, 1), y = (n: number) => crowdHeight - (n / most) * (crowdHeight - 16);
  let n = 0, path = `M${x(0)} ${y(0)}`;
  for (const [t, by] of moves) {
    path += `H${x(t)}`;
    n += by;
    path += `V${y(n)}`;
  }
  if (moves.length && isFinite(now)) path += `H${x(now)}`;
  path += `V${y(0)}Z`;
  return (
    <g class="crowd">
      <path d={path} />
      <line x1={x(0)} x2={9999} y1={y(capacity)} y2={y(capacity)} />
      <text x={x(0)} y={y(capacity) - 3}>{capacity} places</text>
    </g>
  );
}
