import { ms } from '../../format';
import { useWidth } from '../../width';
import type { Act, Reader } from './grouprun';

const left = 6, right = 10, top = 8, foot = 20, height = 170;

/** What is drawn of a lane: the log as it grows, and when the lane read each event. */
export interface Drawing {
  reader: Reader;
  acts: Act[]; // of the lane and of the publisher
  events: number;
  span: number; // milliseconds of the whole axis, the same in all lanes
  now: number;
}

/** Time goes to the right, the log grows upwards: how far a dot is below the stairs is its lag. */
export function Stairs({ reader, acts, events, span, now }: Drawing) {
  const { box, width } = useWidth(480);
  const x = (t: number) => left + (Math.min(t, span) / span) * (width - left - right);
  const y = (n: number) => height - foot - (n / events) * (height - top - foot);
  const seen = acts.filter((a) => a.at <= now), published = seen.filter((a) => a.kind === 'published'), reads = seen.filter((a) => a.kind === 'read');
  const moment = seen.find((a) => a.kind === 'sought') ?? (reader.late ? seen.find((a) => a.kind === 'joined') : undefined);
  const never = reader.live && moment ? published.filter((p) => p.at < moment.at && !reads.some((r) => r.event === p.event)).length : 0;
  const size = Math.max(1.6, Math.min(3.5, (height - top - foot) / events / 2));
  const steps = [100, 200, 500, 1000, 2000, 5000], step = steps.find((s) => span / s <= 6) ?? 10_000;
  return (
    <div ref={box} class="gantt">
      <svg width={width} height={height} role="img" aria-label={`${reader.title}: ${reads.filter((r) => r.turn === 1).length} read, ${reads.filter((r) => r.turn === 2).length} after going back, ${published.length} published`}>
        <g class="axis" aria-hidden="true">
          {Array.from({ length: Math.floor(span / step) + 1 }, (_, i) => i * step).map((t) => (
            <g key={t}><line x1={x(t)} x2={x(t)} y1={top} y2={height - foot} /><text x={Math.max(x(t), 10)} y={height - foot + 14} text-anchor={t === 0 ? 'start' : 'middle'}>{t / 1000} s</text></g>
          ))}
          <line x1={left} x2={width - right} y1={height - foot} y2={height - foot} />
        </g>
        <path class="log" d={stairs(published, x, y, Math.min(now, span))} />
        {never > 0 && moment && <rect class="never" x={x(moment.at)} width={Math.max(0, x(Math.min(now, span)) - x(moment.at))} y={y(never)} height={y(0) - y(never)}><title>{`${never} events were published before it came`}</title></rect>}
        {moment && <g class="turn"><line x1={x(moment.at)} x2={x(moment.at)} y1={top} y2={height - foot} /><text x={x(moment.at) + 4} y={top + 9}>{moment.kind === 'sought' ? 'seeks back' : 'comes'}</text></g>}
        {reads.map((r, i) => <circle key={i} class={r.turn === 2 ? 'again' : 'read'} data-turn={r.turn} cx={x(r.at)} cy={y(r.event ?? 0)} r={size}><title>{`event ${r.event}: read ${r.turn === 2 ? 'after going back ' : ''}at ${ms(r.at)} ms`}</title></circle>)}
        {now < span && <line class="moment" x1={x(now)} x2={x(now)} y1={0} y2={height - foot} />}
      </svg>
    </div>
  );
}

/** The log's growth: up with each event, on with time. */
export function stairs(published: Act[], x: (t: number) => number, y: (n: number) => number, end: number): string {
  let path = `M${x(0).toFixed(1)} ${y(0).toFixed(1)}`;
  for (const p of published) path += `H${x(p.at).toFixed(1)}V${y(p.event ?? 0).toFixed(1)}`;
  return `${path}H${x(end).toFixed(1)}V${y(0).toFixed(1)}Z`;
}
