import { ms } from '../../format';
import { useWidth } from '../../width';
import { queueOf, ways, type Flow, type Mark, type Way } from './piperun';

const left = 6, right = 10, top = 8, foot = 20, hill = 26, gap = 14;

/** What is drawn of a lane: each event's way, and its queues. */
export interface Drawing {
  flow: Flow;
  marks: Mark[]; // of the flow, in the order of time
  events: number;
  room: number; // of a queue
  span: number; // milliseconds of the whole axis, the same in all lanes
  latest: number; // until when it is known what happened
  now: number;
}

/** A row for each event, from the source on the left to the dot when the sink has it. */
export function FlowChart({ flow, marks, events, room, span, latest, now }: Drawing) {
  const { box, width } = useWidth(480);
  const row = Math.max(4, Math.min(9, Math.floor(190 / events)));
  const queues = flow.queues ? flow.stages : [];
  const bottom = top + events * row, height = bottom + foot + queues.length * (hill + gap);
  const until = Math.min(now, latest);
  const x = (t: number) => left + (Math.min(t, span) / span) * (width - left - right);
  const y = (event: number) => top + (event - 0.5) * row;
  const seen = marks.filter((m) => m.at <= until), all = ways(seen), taken = all.filter((w) => w.took !== undefined).length;
  const step = [50, 100, 200, 500, 1000, 2000, 5000].find((s) => span / s <= (width < 420 ? 4 : 9)) ?? 10_000;
  return (
    <div ref={box} class="gantt">
      <svg width={width} height={height} role="img" aria-label={`${flow.title}: ${taken} of ${events} events written, ${all.filter((w) => w.overtaken).length} of them after a later one`}>
        <g class="axis" aria-hidden="true">
          {Array.from({ length: Math.floor(span / step) + 1 }, (_, i) => i * step).map((t) => (
            <g key={t}><line x1={x(t)} x2={x(t)} y1={top} y2={bottom} /><text x={x(t)} y={bottom + 14} text-anchor={t === 0 ? 'start' : 'middle'}>{t / 1000} s</text></g>
          ))}
          <line x1={left} x2={width - right} y1={bottom} y2={bottom} />
        </g>
        {all.map((w) => <Row key={w.event} w={w} x={x} y={y(w.event)} size={row - 1.5} until={until} />)}
        {queues.map((stage, i) => (
          <Queue key={stage} stage={stage} steps={queueOf(seen, flow.stages[i - 1] ?? 'source', stage)} room={room} x={x} base={bottom + foot + (i + 1) * (hill + gap)} until={until} width={width} />
        ))}
        {now < span && <line class="moment" x1={x(now)} x2={x(now)} y1={0} y2={height} />}
      </svg>
    </div>
  );
}

function Row({ w, x, y, size, until }: { w: Way; x: (t: number) => number; y: number; size: number; until: number }) {
  const told = `event ${w.event}: given at ${ms(w.gave)} ms${w.works.map((k) => `, ${k.stage} from ${ms(k.began)}${k.ended === undefined ? '' : ` to ${ms(k.ended)}`}`).join('')}${w.took === undefined ? '' : `, written at ${ms(w.took)} ms${w.overtaken ? ', after a later one' : ''}`}`;
  return (
    <g>
      <title>{told}</title>
      <line class="way" x1={x(w.gave)} x2={x(w.took ?? until)} y1={y} y2={y} />
      {w.works.map((k) => <rect key={k.stage} class={k.stage === 'work' ? 'at-work' : 'at-other'} x={x(k.began)} width={Math.max(1, x(k.ended ?? until) - x(k.began))} y={y - size / 2} height={size} />)}
      {w.took !== undefined && <circle class={w.overtaken ? 'taken late' : 'taken'} cx={x(w.took)} cy={y} r={Math.max(1.8, Math.min(3, size / 2))} />}
    </g>
  );
}

/** How many events a queue holds, with a line at its room. */
function Queue({ stage, steps, room, x, base, until, width }: { stage: string; steps: [number, number][]; room: number; x: (t: number) => number; base: number; until: number; width: number }) {
  const most = Math.max(room, ...steps.map(([, n]) => n)), y = (n: number) => base - (n / most) * hill;
  const now = steps[steps.length - 1]?.[1] ?? 0, peak = Math.max(0, ...steps.map(([, n]) => n));
  let path = `M${x(0).toFixed(1)} ${base}`;
  for (const [t, n] of steps) path += `H${x(t).toFixed(1)}V${y(n).toFixed(1)}`;
  return (
    <g class="hill queue-hill" data-stage={stage}>
      <path d={`${path}H${x(until).toFixed(1)}V${base}Z`} />
      <line class="room" x1={left} x2={width - right} y1={y(room)} y2={y(room)} />
      <line class="ground" x1={left} x2={width - right} y1={base} y2={base} />
      <text x={left + 4} y={base - hill - 3}>{`waiting for ${stage}: ${now} now, ${peak} at most`}</text>
    </g>
  );
}
