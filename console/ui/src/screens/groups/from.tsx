import { Field } from '../../ui';

/** A place in time, while somebody chooses it. */
export interface Draft { kind: 'earliest' | 'latest' | 'time'; time: string }

/** The place as the API takes it; empty while it is not complete. */
export function toOf(d: Draft): string {
  if (d.kind !== 'time') return d.kind;
  const t = new Date(d.time); // of the browser's time zone
  return isNaN(+t) ? '' : `@${t.toISOString()}`;
}

const kinds: [Draft['kind'], string][] = [['earliest', 'the earliest event'], ['latest', 'the next event'], ['time', 'a time']];

/** Chooses where reading begins. */
export function From({ value, onChange, label }: { value: Draft; onChange: (d: Draft) => void; label: string }) {
  return (
    <div class="fields">
      <Field label={label}>
        <select value={value.kind} onChange={(e) => onChange({ ...value, kind: e.currentTarget.value as Draft['kind'] })}>{kinds.map(([k, title]) => <option key={k} value={k}>{title}</option>)}</select>
      </Field>
      {value.kind === 'time' && (
        <Field label="First event from" hint="in the time of this browser"><input type="datetime-local" step="1" required value={value.time} onInput={(e) => onChange({ ...value, time: e.currentTarget.value })} /></Field>
      )}
    </div>
  );
}
