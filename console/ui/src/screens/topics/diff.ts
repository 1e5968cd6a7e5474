/** A line of a comparison: in both, only in the older text, or only in the newer one. */
export interface DiffLine { kind: ' ' | '-' | '+'; text: string }

/** The most cells of the table; larger texts are compared as a whole. */
const maxCells = 4_000_000;

/** Compares texts line by line, with as few differences as can be. */
export function diff(older: string, newer: string): DiffLine[] {
  const a = older.split('\n'), b = newer.split('\n');
  let head = 0, tail = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const line = (kind: DiffLine['kind']) => (text: string): DiffLine => ({ kind, text });
  return [
    ...a.slice(0, head).map(line(' ')),
    ...between(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(line(' ')),
  ];
}

/** By the longest common subsequence. */
function between(a: string[], b: string[]): DiffLine[] {
  const width = b.length + 1;
  const long = a.length * b.length > maxCells ? null : new Uint32Array((a.length + 1) * width); // of what is behind i and j
  const out: DiffLine[] = [];
  let i = 0, j = 0;
  if (long) {
    for (let x = a.length - 1; x >= 0; x--) {
      for (let y = b.length - 1; y >= 0; y--) {
        long[x * width + y] = a[x] === b[y] ? long[(x + 1) * width + y + 1]! + 1 : Math.max(long[(x + 1) * width + y]!, long[x * width + y + 1]!);
      }
    }
    while (i < a.length && j < b.length) {
      if (a[i] === b[j]) {
        out.push({ kind: ' ', text: a[i]! });
        i++;
        j++;
      } else if (long[(i + 1) * width + j]! >= long[i * width + j + 1]!) out.push({ kind: '-', text: a[i++]! });
      else out.push({ kind: '+', text: b[j++]! });
    }
  }
  while (i < a.length) out.push({ kind: '-', text: a[i++]! });
  while (j < b.length) out.push({ kind: '+', text: b[j++]! });
  return out;
}
