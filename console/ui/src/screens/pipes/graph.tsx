import { useMemo } from 'preact/hooks';
import { count } from '../../format';
import { useWidth } from '../../width';
import { arrange, failures, type Drawing, type Node } from './layout';
import { givenName, took, type Edge, type Explained, type Stats, type Step } from './model';
import { rate } from '../queues/backlog';
import type { Pace, Paces } from './samples';

const box = { width: 168, height: 82, gapX: 38, gapY: 30 };
const list = { gap: 16, indent: 20 };
const padding = 28; // of the element around it
/** Below this width a step that is drawn in a list has three lines instead of one. */
const narrow = 700;

type Form = 'box' | 'bar' | 'card'; // of a step: in rows, or in a list that is wide or narrow

interface Shape { x: number; y: number; width: number; height: number }
interface Place { shapes: Map<string, Shape>; width: number; height: number; way: (from: Shape, to: Shape) => string }

/** From left to right, each chain a row. */
function inRows(d: Drawing): Place {
  const shapes = new Map(d.nodes.map((n) => [n.step.path, { x: 1 + n.column * (box.width + box.gapX), y: 18 + n.row * (box.height + box.gapY), width: box.width, height: box.height }]));
  return {
    shapes, width: d.columns * (box.width + box.gapX) - box.gapX + 2, height: d.rows * (box.height + box.gapY) - box.gapY + 20,
    way: (a, b) => {
      const x = a.x + a.width, y = a.y + a.height / 2, to = b.y + b.height / 2;
      const turn = to >= y ? x + 18 : b.x - 26; // what comes together does so before the step
      return y === to ? `M${x} ${y}H${b.x - 6}` : `M${x} ${y}H${turn}V${to}H${b.x - 6}`;
    },
  };
}

/** One under the other, what is in a pipe of a pipe further right. */
function inList(d: Drawing, width: number, high: number): Place {
  const shapes = new Map(d.nodes.map((n, i) => [n.step.path, { x: 1 + n.step.depth * list.indent, y: 18 + i * (high + list.gap), width: Math.max(150, width - 2 - n.step.depth * list.indent), height: high }]));
  return {
    shapes, width, height: d.nodes.length * (high + list.gap) + 6,
    way: (a, b) => {
      const x = Math.min(a.x, b.x) + 9, down = b.y > a.y;
      const y = down ? a.y + a.height : a.y;
      if (a.x === b.x) return `M${x} ${y}V${down ? b.y - 5 : b.y + b.height + 5}`;
      return a.x < b.x ? `M${x} ${y}V${b.y + b.height / 2}H${b.x - 5}` : `M${a.x} ${a.y + a.height / 2}H${x}V${b.y + b.height + 5}`;
    },
  };
}

/** The graph of a pipe, with what passes each step now. A step that can be tapped is a button. */
export function Graph({ steps, edges, stats, paces, chosen, onChoose }: { steps: Explained[]; edges: Edge[]; stats: Stats | null; paces: Paces; chosen: string; onChoose: (path: string) => void }) {
  const { box: ref, width: around } = useWidth(1000);
  const width = around - padding, drawing = useMemo(() => arrange(steps, edges), [steps, edges]), rows = inRows(drawing);
  const form: Form = rows.width <= width ? 'box' : width < narrow ? 'card' : 'bar';
  const place = form === 'box' ? rows : inList(drawing, width, form === 'card' ? 62 : 32);
  const counted = new Map(stats?.steps?.map((s) => [s.path, s]));
  return (
    <div ref={ref} class="pipe-graph" role="region" tabIndex={0} aria-label="Graph of the pipe" data-testid="graph">
      <svg width={place.width} height={place.height}>
        <g class="pipe-ways" aria-hidden="true">
          {drawing.edges.map((e) => {
            const from = place.shapes.get(e.from), to = place.shapes.get(e.to);
            if (!from || !to) return null;
            const flows = (paces.steps.get(e.to)?.in ?? (e.from === failures ? paces.dead : 0)) > 0;
            return (
              <g key={`${e.from} ${e.to}`} class={`${e.label === 'failed' || e.label === 'late' || e.from === failures ? 'pipe-way bad-way' : 'pipe-way'}${flows ? ' flows' : ''}`}>
                <path d={place.way(from, to)} marker-end="url(#pipe-tip)" />
                {e.label && <text x={to.x + 2} y={to.y - 5}>{cut(e.label === 'failed' || e.label === 'late' ? e.label : `if ${e.label}`, Math.floor((to.width - 4) / 6.3))}<title>{e.label}</title></text>}
              </g>
            );
          })}
          <defs><marker id="pipe-tip" viewBox="0 0 8 8" refX="2" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8Z" /></marker></defs>
        </g>
        {drawing.nodes.map((n) => {
          const at = place.shapes.get(n.step.path)!, step = counted.get(n.step.path);
          return <Box key={n.step.path} n={n} at={at} form={form} step={step} figures={figuresOf(n, drawing, stats, step, paces)} chosen={chosen === n.step.path} onChoose={step ? () => onChoose(n.step.path) : undefined} />;
        })}
      </svg>
    </div>
  );
}

interface Figures { pace: string; total: string; errors: number; failing: boolean; time: string }

/** What is said of a step. A source is not counted: it gives what the step behind it gets. */
function figuresOf(n: Node, d: Drawing, stats: Stats | null, step: Step | undefined, paces: Paces): Figures {
  const at = (p: Pace | undefined, side: 'in' | 'out') => (paces.known ? `${rate(p?.[side] ?? 0)}/s` : '…');
  const none = { errors: 0, failing: false, time: '' };
  if (n.step.path === failures || n.step.path.startsWith('dead.')) {
    if (step) return { pace: `${at(paces.steps.get(n.step.path), 'in')} in`, total: `${count(step.in)} in all`, errors: step.errors, failing: false, time: took(step.us) };
    return { ...none, pace: `${paces.known ? `${rate(paces.dead)}/s` : '…'}`, total: stats ? `${count(stats.dead)} in all` : '' };
  }
  if (!step) {
    const next = d.edges.filter((e) => e.from === n.step.path).map((e) => e.to), first = stats?.steps?.find((s) => next.includes(s.path));
    return n.step.depth > 0 || !first ? { ...none, pace: '', total: '' } : { ...none, pace: `${at(paces.steps.get(first.path), 'in')} out`, total: `${count(first.in)} in all` };
  }
  const p = paces.steps.get(step.path);
  return {
    pace: n.sink ? `${at(p, 'in')} in` : `${at(p, 'in')} → ${at(p, 'out')}`, total: n.sink ? `${count(step.in)} in all` : `${count(step.in)} → ${count(step.out)}`,
    errors: step.errors, failing: (p?.errors ?? 0) > 0, time: took(step.us),
  };
}

const cut = (text: string, most: number) => (text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`);

function Box({ n, at, form, step, figures: f, chosen, onChoose }: { n: Node; at: Shape; form: Form; step?: Step; figures: Figures; chosen: boolean; onChoose?: () => void }) {
  const name = givenName(n.step), dead = n.step.path === failures || n.step.path.startsWith('dead.');
  const told = `${n.step.brief}${name ? ` (${name})` : ''}: ${n.step.does}. ${f.pace.replace('→', 'in,').replace('…', 'not known yet')} ${f.total}${f.errors ? `, ${errorsSay(f.errors)}` : ''}${f.time ? `, ${f.time}` : ''}`;
  const press = (e: KeyboardEvent) => {
    if (e.key !== 'Enter' && e.key !== ' ') return;
    e.preventDefault();
    onChoose?.();
  };
  return (
    <g
      class={`pipe-box ${dead ? 'dead' : n.source ? 'source' : n.sink ? 'sink' : 'stage'}${f.failing ? ' failing' : ''}${chosen ? ' chosen' : ''}`} transform={`translate(${at.x} ${at.y})`} data-path={n.step.path}
      {...(onChoose ? { role: 'button', tabindex: 0, 'aria-pressed': chosen, onClick: onChoose, onKeyDown: press } : { role: 'img', 'aria-label': told })}
    >
      <rect width={at.width} height={at.height} rx="7"><title>{`${n.step.does}${n.step.keeps === 'nothing' ? '' : `; keeps ${n.step.keeps}`}${step?.us ? `; ${took(step.us)} in the mean, ${took(step.max_us)} at most` : ''}`}</title></rect>
      {form === 'bar' ? <Bar n={n} f={f} name={name} width={at.width} /> : <Lines n={n} f={f} name={name} width={at.width} card={form === 'card'} />}
    </g>
  );
}

const errorsSay = (n: number) => `${count(n)} ${n === 1 ? 'error' : 'errors'}`;

/** A step on one line: figures stand under each other, from the right. */
function Bar({ n, f, name, width }: { n: Node; f: Figures; name: string; width: number }) {
  const named = 76 + (name ? Math.min(name.length, 18) * 6.6 + 12 : 0);
  return (
    <>
      <text class="pipe-kind" x="12" y="21">{n.kind}</text>
      {name && <text class="pipe-name" x="80" y="21">{cut(name, 18)}</text>}
      <text class="mono" x={named + 8} y="20">{cut(n.rest, Math.max(4, Math.floor((width - named - 450) / 6.7)))}</text>
      <text class="pipe-pace" x={width - 430} y="21" data-testid="pace">{f.pace}</text>
      <text class="pipe-total" x={width - 280} y="21" data-testid="total">{f.total}</text>
      <text class="pipe-errors" x={width - 86} y="21" text-anchor="end">{f.errors > 0 && errorsSay(f.errors)}</text>
      <text class="pipe-total" x={width - 12} y="21" text-anchor="end">{f.time}</text>
    </>
  );
}

/** A step on four lines, or, in a card, on three: what matters most. */
function Lines({ n, f, name, width, card }: { n: Node; f: Figures; name: string; width: number; card: boolean }) {
  const right = width - 10, y = card ? 53 : 56;
  return (
    <>
      <text class="pipe-kind" x="10" y="19">{n.kind}</text>
      {name && <text class="pipe-name" x={right} y="19" text-anchor="end">{cut(name, Math.floor((width - 30) / 6.5) - n.kind.length)}</text>}
      <text class="mono" x="10" y="36">{cut(n.rest, Math.floor((width - 20) / 6.7))}</text>
      <text class="pipe-pace" x="10" y={y} data-testid="pace">{f.pace}</text>
      {card
        ? <text class={f.errors ? 'pipe-errors' : 'pipe-total'} x={right} y={y} text-anchor="end">{f.errors ? errorsSay(f.errors) : f.time || f.total}</text>
        : (
          <>
            <text class="pipe-total" x={right} y={y} text-anchor="end">{f.time}</text>
            <text class="pipe-total" x="10" y="72" data-testid="total">{f.total}</text>
            {f.errors > 0 && <text class="pipe-errors" x={right} y="72" text-anchor="end">{errorsSay(f.errors)}</text>}
          </>
        )}
    </>
  );
}
