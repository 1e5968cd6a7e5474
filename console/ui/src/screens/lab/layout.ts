import type { Message } from './run';

/** A message with its row in the diagram. */
export interface Drawn { m: Message; row: number; column: number }
/** A pause between two bands of rows. */
export interface Pause { row: number; ms: number; t: number }

// Messages closer in time than this stand beside each other.
const together = 8;

/**
 * Gives each message a row. Time goes down in bands: what happens at about the same
 * time shares a band, in which each lane fills its own rows; a pause between bands is
 * one row, however long it is, and says so.
 */
export function arrange(trace: Message[], lanes: string[]): { drawn: Drawn[]; pauses: Pause[]; rows: number } {
  const drawn: Drawn[] = [], pauses: Pause[] = [];
  const next = new Map<string, number>();
  let first = 0, last = -1, latest = 0;
  for (const m of [...trace].sort((a, b) => a.t - b.t)) {
    const column = lanes.indexOf(m.lane);
    if (column < 0) continue;
    if (m.t - latest > together || last < 0) {
      pauses.push({ row: last + 1, ms: last < 0 ? m.t : m.t - latest, t: m.t });
      first = last + 2;
      next.clear();
    }
    const row = Math.max(next.get(m.lane) ?? first, first);
    next.set(m.lane, row + 1);
    last = Math.max(last, row);
    latest = m.t;
    drawn.push({ m, row, column });
  }
  return { drawn, pauses, rows: last + 1 };
}

/** The messages until a moment, and the whole of the row numbers. */
export const until = (drawn: Drawn[], t: number) => drawn.filter((d) => d.m.t <= t);
