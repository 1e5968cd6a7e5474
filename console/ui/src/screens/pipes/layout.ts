import { partsOf, type Edge, type Explained } from './model';

/** A step as it is drawn: in a grid from left to right, and in a list that is indented. */
export interface Node { step: Explained; kind: string; rest: string; column: number; row: number; source: boolean; sink: boolean }

export interface Drawing { nodes: Node[]; edges: Edge[]; columns: number; rows: number }

/** Where events begin that failed and that nothing else takes: no step of the definition. */
export const failures = 'dead';

const chainOf = (path: string) => path.slice(0, path.lastIndexOf('.') + 1);

/** Finds a place for each step: a chain is a row, and what branches off is below it. What branches off last is placed first, so that no way crosses another. */
export function arrange(steps: Explained[], ways: Edge[]): Drawing {
  const dead = steps.some((s) => s.path === 'dead.1');
  const all = dead ? [...steps.filter((s) => !s.path.startsWith('dead.')), { path: failures, brief: 'failures', does: 'what fails in a step, and no catch takes', keeps: 'nothing', depth: 0 }, ...steps.filter((s) => s.path.startsWith('dead.'))] : steps;
  const edges = dead ? [...ways, { from: failures, to: 'dead.1' }] : ways;
  const columns = columnsOf(all, edges), rows = rowsOf(all, edges, columns);
  const nodes = all.map((step): Node => {
    const [kind, text] = partsOf(step.brief), rest = /^'[^']*'$/.test(text) ? text.slice(1, -1) : text;
    return { step, kind, rest, column: columns.get(step.path) ?? 0, row: rows.get(step.path) ?? 0, source: !edges.some((e) => e.to === step.path), sink: !edges.some((e) => e.from === step.path) };
  });
  return { nodes, edges, columns: Math.max(0, ...nodes.map((n) => n.column)) + 1, rows: Math.max(0, ...nodes.map((n) => n.row)) + 1 };
}

/** A step is behind all that lead to it. */
function columnsOf(steps: Explained[], edges: Edge[]): Map<string, number> {
  const columns = new Map(steps.map((s) => [s.path, 0]));
  for (let turn = 0, moved = true; moved && turn < steps.length; turn++) {
    moved = false;
    for (const e of edges) {
      const at = (columns.get(e.from) ?? 0) + 1;
      if (at > (columns.get(e.to) ?? 0)) {
        columns.set(e.to, at);
        moved = true;
      }
    }
  }
  return columns;
}

function rowsOf(steps: Explained[], edges: Edge[], columns: Map<string, number>): Map<string, number> {
  const chains = new Map<string, string[]>();
  for (const s of steps) {
    if (s.path === failures) continue;
    const chain = chainOf(s.path), members = chains.get(chain);
    if (members) members.push(s.path);
    else chains.set(chain, [s.path]);
  }
  const rows = new Map<string, number>(), taken: { row: number; from: number; to: number }[] = [];
  let sources = 0; // the last row in use by what is merged
  const columnOf = (path: string) => columns.get(path) ?? 0;
  const behind = (path: string): number => Math.max(columnOf(path), ...edges.filter((e) => e.from === path).map((e) => behind(e.to)));
  const place = (chain: string, row: number) => {
    const members = chains.get(chain) ?? [], at = members.map(columnOf);
    for (const path of members) rows.set(path, row);
    taken.push({ row, from: Math.min(...at), to: Math.max(...at) });
    for (const path of members.toReversed()) {
      const into = edges.filter((e) => e.to === path && chainOf(e.from).startsWith(`${path}.`));
      into.forEach((e, i) => place(chainOf(e.from), i === 0 ? row : ++sources));
      for (const e of edges) if (e.from === path && chainOf(e.to) !== chain && !rows.has(e.to)) branch(chainOf(e.to), row);
    }
  };
  // Below all that is in the columns of the branch, or of what branches off of it: so its
  // ways down meet nothing, and nothing that comes later goes through them.
  const branch = (chain: string, parent: number) => {
    const first = chains.get(chain)![0]!, from = columnOf(first), to = behind(first);
    place(chain, Math.max(parent, ...taken.filter((c) => c.from <= to && c.to >= from).map((c) => c.row)) + 1);
  };
  place('', 0);
  if (chains.has('dead.')) {
    const row = Math.max(sources, ...taken.map((c) => c.row)) + 1;
    rows.set(failures, row);
    place('dead.', row);
  }
  return rows;
}
