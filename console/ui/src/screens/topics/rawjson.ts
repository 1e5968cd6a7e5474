// A reader of JSON text that keeps every byte: numbers are not rounded and white space
// is not lost, as JSON.parse would do.

/** Where the value that begins at i ends. */
function valueEnd(s: string, i: number): number {
  if (s[i] === '"') return stringEnd(s, i);
  if (s[i] !== '{' && s[i] !== '[') {
    while (i < s.length && !/[,\]}\s]/.test(s[i]!)) i++;
    return i;
  }
  for (let depth = 0; i < s.length; i++) {
    const c = s[i];
    if (c === '"') i = stringEnd(s, i) - 1;
    else if (c === '{' || c === '[') depth++;
    else if ((c === '}' || c === ']') && --depth === 0) return i + 1;
  }
  return s.length;
}

function stringEnd(s: string, i: number): number {
  for (i++; i < s.length && s[i] !== '"'; i++) if (s[i] === '\\') i++;
  return i + 1;
}

const space = (s: string, i: number) => {
  while (/\s/.test(s[i] ?? '')) i++;
  return i;
};

/** The members of a JSON object, as text. */
export function members(s: string): Map<string, string> {
  const out = new Map<string, string>();
  let i = space(s, 0) + 1;
  while (s[(i = space(s, i))] === '"') {
    const end = stringEnd(s, i);
    const name = JSON.parse(s.slice(i, end)) as string;
    i = space(s, space(s, end) + 1);
    const close = valueEnd(s, i);
    out.set(name, s.slice(i, close));
    i = space(s, close);
    if (s[i] === ',') i++;
  }
  return out;
}

/** The elements of a JSON array, as text. */
export function elements(s: string): string[] {
  const out: string[] = [];
  let i = space(s, space(s, 0) + 1);
  while (i < s.length && s[i] !== ']') {
    const close = valueEnd(s, i);
    out.push(s.slice(i, close));
    i = space(s, close);
    if (s[i] === ',') i = space(s, i + 1);
  }
  return out;
}

export type Token = ['key' | 'string' | 'number' | 'word' | 'mark', string];

/** Lays valid JSON out on lines, in coloured pieces. */
export function layout(s: string): Token[] {
  const out: Token[] = [];
  let depth = 0;
  const line = () => '\n' + '  '.repeat(depth);
  for (let i = space(s, 0); i < s.length; i = space(s, i)) {
    const c = s[i]!;
    if (c === '"') {
      const end = stringEnd(s, i);
      out.push([s[space(s, end)] === ':' ? 'key' : 'string', s.slice(i, end)]);
      i = end;
    } else if (c === '{' || c === '[') {
      const close = space(s, i + 1);
      if (s[close] === '}' || s[close] === ']') {
        out.push(['mark', c + s[close]]);
        i = close + 1;
        continue;
      }
      depth++;
      out.push(['mark', c + line()]);
      i++;
    } else if (c === '}' || c === ']') {
      depth--;
      out.push(['mark', line() + c]);
      i++;
    } else if (c === ',' || c === ':') {
      out.push(['mark', c === ',' ? ',' + line() : ': ']);
      i++;
    } else {
      const end = Math.max(valueEnd(s, i), i + 1);
      out.push([/[\d-]/.test(c) ? 'number' : 'word', s.slice(i, end)]);
      i = end;
    }
  }
  return out;
}
