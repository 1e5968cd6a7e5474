import { useState } from 'preact/hooks';
import { setQuery } from '../../router';

type Kind = 'newest' | 'latest' | 'earliest' | 'time' | 'cursor';

const kindOf = (from: string): Kind => (from === '' ? 'newest' : from === 'earliest' || from === 'latest' ? from : from.startsWith('@') ? 'time' : 'cursor');

/** Where to read from. It is part of the address. */
export function Seek({ from }: { from: string }) {
  const [kind, setKind] = useState<Kind>(kindOf(from));
  const [value, setValue] = useState(kind === 'time' ? local(from.slice(1)) : kind === 'cursor' ? from : '');
  const choose = (k: Kind) => {
    setKind(k);
    setValue('');
    if (k === 'newest') seek('');
    if (k === 'earliest' || k === 'latest') seek(k);
  };
  const submit = (e: Event) => {
    e.preventDefault();
    if (!value.trim()) return;
    seek(kind === 'time' ? '@' + new Date(value).toISOString() : value.trim());
  };
  return (
    <form class="seek" onSubmit={submit}>
      <label><span class="label">From</span>
        <select value={kind} onChange={(e) => choose(e.currentTarget.value as Kind)}>
          <option value="newest">newest stored</option>
          <option value="latest">now on</option>
          <option value="earliest">earliest</option>
          <option value="time">a time…</option>
          <option value="cursor">a cursor…</option>
        </select>
      </label>
      {kind === 'time' && <input type="datetime-local" step="1" aria-label="Time" value={value} onInput={(e) => setValue(e.currentTarget.value)} />}
      {kind === 'cursor' && <input class="mono" aria-label="Cursor" placeholder="cursor" spellcheck={false} value={value} onInput={(e) => setValue(e.currentTarget.value)} />}
      {(kind === 'time' || kind === 'cursor') && <button>Seek</button>}
    </form>
  );
}

const seek = (from: string) => setQuery({ from, event: '' });

/** A time for the browser's field: local, without a zone. */
function local(text: string): string {
  const t = new Date(text);
  return isNaN(+t) ? '' : new Date(+t - t.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}
