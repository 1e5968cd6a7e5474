import { useEffect, useState } from 'preact/hooks';

const speeds = [0.25, 0.5, 1, 2, 4];

/** Moves through a recorded run: a moment in it, and at which pace it goes on. */
export function Player({ trace, now, onNow }: { trace: { t: number }[]; now: number; onNow: (t: number) => void }) {
  const [playing, play] = useState(false);
  const [speed, setSpeed] = useState(1);
  const end = trace.length ? trace.reduce((a, m) => Math.max(a, m.t), 0) : 0;
  useEffect(() => {
    if (!playing) return;
    let at = now >= end ? 0 : now, last = performance.now(), frame = 0;
    const tick = (t: number) => {
      at += (t - last) * speed;
      last = t;
      onNow(Math.min(at, end));
      if (at >= end) play(false);
      else frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [playing, speed]);
  const times = [...new Set(trace.map((m) => m.t))].sort((a, b) => a - b);
  const step = (by: 1 | -1) => {
    play(false);
    const shown = Math.min(now, end);
    const t = by > 0 ? times.find((x) => x > shown) : times.findLast((x) => x < shown);
    if (t !== undefined) onNow(t);
  };
  return (
    <div class="player">
      <button class="icon" aria-label="A message back" onClick={() => step(-1)}>‹</button>
      <button onClick={() => play(!playing)} disabled={!end}>{playing ? 'Pause' : 'Play'}</button>
      <button class="icon" aria-label="A message on" onClick={() => step(1)}>›</button>
      <input type="range" min={0} max={end || 1} step={1} value={Math.min(now, end)} aria-label="Moment of the run, milliseconds" onInput={(e) => { play(false); onNow(Number(e.currentTarget.value) >= Math.floor(end) ? Infinity : Number(e.currentTarget.value)); }} />
      <span class="mono small time">{(Math.min(now, end) / 1000).toFixed(2)} s</span>
      <select aria-label="Pace" value={speed} onChange={(e) => setSpeed(Number(e.currentTarget.value))}>{speeds.map((s) => <option key={s} value={s}>{s}×</option>)}</select>
    </div>
  );
}
