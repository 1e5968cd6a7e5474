import { ms } from '../../format';
import { useWidth } from '../../width';
import type { Crew, Span, Takeover } from './queuerun';

const left = 62, right = 10, row = 20, foot = 20, hill = 34;

/** What is drawn of a crew: who was at which job, and how many jobs were left. */
export interface Drawing {
  crew: Crew;
  spans: Span[]; // of this crew
  takeovers: Takeover[];
  jobs: number;
  width: number; // milliseconds of the whole axis, the same for all crews
  latest: number; // until when it is known what happened
  now: number;
}

/** A row for each worker; time goes to the right. Above them the backlog. */
export function CrewChart(d: Drawing) {
  const { box, width } = useWidth(640);
  const top = hill + 8, bottom = top + d.crew.workers.length * row, height = bottom + foot;
  const x = (t: number) => left + (Math.min(t, d.width) / d.width) * (width - left - right);
  const y = (worker: string) => top + (d.crew.workers.indexOf(worker) + 0.5) * row;
  const until = Math.min(d.now, d.latest);
  const seen = d.spans.filter((s) => s.began <= until);
  const done = seen.filter((s) => s.end === 'done' && s.ended! <= until).length;
  const step = [100, 200, 500, 1000, 2000, 5000].find((s) => d.width / s <= 12) ?? 10_000;
  const ticks = Array.from({ length: Math.floor(d.width / step) + 1 }, (_, i) => i * step);
  return (
    <div ref={box} class="gantt">
      <svg width={width} height={height} role="img" aria-label={`${d.crew.title}: ${done} of ${d.jobs} jobs done`}>
        <g class="axis" aria-hidden="true">
          {ticks.map((t) => <g key={t}><line x1={x(t)} x2={x(t)} y1={top - 4} y2={bottom} /><text x={x(t)} y={bottom + 14} text-anchor="middle">{t / 1000} s</text></g>)}
          <line x1={left} x2={width - right} y1={bottom} y2={bottom} />
        </g>
        <g class="hill"><path d={hillPath(d, until, x)} /><text x={left - 8} y={hill - 2} text-anchor="end">left {d.jobs - done}</text></g>
        {d.crew.workers.map((w) => <text key={w} x={left - 8} y={y(w) + 4} text-anchor="end">{w}</text>)}
        {seen.map((s) => <Block key={`${s.job} ${s.attempt}`} s={s} x={x} y={y(s.worker)} until={until} />)}
        {d.takeovers.filter((t) => t.taken <= until).map((t) => <line key={t.job} class="takeover" x1={x(t.left)} x2={x(t.taken)} y1={y(t.from)} y2={y(t.to)} />)}
        {seen.filter((s) => s.end === 'crashed' && s.ended! <= until).map((s) => (
          <g key="crash" class="crash">
            <path d={`M${x(s.ended!) - 4} ${y(s.worker) - 4}l8 8m0 -8l-8 8`} />
            <text x={x(s.ended!) + 9} y={y(s.worker) + 4}>crashed</text>
          </g>
        ))}
        {d.now < d.width && <line class="moment" x1={x(d.now)} x2={x(d.now)} y1={0} y2={bottom} />}
      </svg>
    </div>
  );
}

function Block({ s, x, y, until }: { s: Span; x: (t: number) => number; y: number; until: number }) {
  const over = s.ended !== undefined && s.ended <= until;
  const from = x(s.began), wide = Math.max(1.5, x(over ? s.ended! : until) - from - 1);
  const state = over ? s.end! : 'busy';
  const text = `job ${s.job}${s.attempt > 1 ? `, attempt ${s.attempt}` : ''}: ${s.worker} began at ${ms(s.began)} ms, ${over ? `${{ done: 'done', crashed: 'crashed', lost: 'lost it' }[s.end!]} after ${ms(s.ended! - s.began)} ms` : 'is at it'}`;
  return (
    <g class={`block ${state}${s.attempt > 1 ? ' again' : ''}`} data-job={s.job} data-end={state}>
      <title>{text}</title>
      <rect x={from} width={wide} y={y - row / 2 + 2} height={row - 4} rx={2} />
      {wide > 17 && <text x={from + wide / 2} y={y + 4} text-anchor="middle">{s.job}</text>}
    </g>
  );
}

/** How many jobs are left, over time. */
function hillPath(d: Drawing, until: number, x: (t: number) => number): string {
  const ends = d.spans.filter((s) => s.end === 'done' && s.ended! <= until).map((s) => s.ended!).sort((a, b) => a - b);
  const y = (n: number) => hill - (n / d.jobs) * (hill - 4);
  let path = `M${x(0)} ${y(0)}V${y(d.jobs)}`;
  ends.forEach((t, i) => (path += `H${x(t)}V${y(d.jobs - i - 1)}`));
  return `${path}H${x(ends.length === d.jobs ? ends[ends.length - 1]! : until)}V${y(0)}Z`;
}
