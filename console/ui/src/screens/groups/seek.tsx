import { useEffect, useState } from 'preact/hooks';
import { json, problemOf, type Problem } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { Dialog, ErrorPanel, Field } from '../../ui';
import { From, toOf, type Draft } from './from';
import { groupPath, keyOf, moves, type Earliest, type Group, type Move, type Place } from './model';
import { seekGroup, type Target } from './snippets';

/** How long typing rests before the server is asked what it would mean. */
const rest = 200;
const rows = 12;

const ask = (name: string, body: object, signal?: AbortSignal) =>
  json<{ partitions: Place[] }>(groupPath(name, 'seek'), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body), signal });

/** What the server would do: asked anew whenever the target changes. */
function usePreview(group: Group, target: Target | null) {
  const [places, setPlaces] = useState<Place[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const text = target ? JSON.stringify(target) : '';
  useEffect(() => {
    setPlaces(null);
    setProblem(null);
    if (!text) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const a = await ask(group.name, { ...JSON.parse(text), dry_run: true }, abort.signal);
        if (!abort.signal.aborted) setPlaces(a.partitions);
      } catch (err) {
        if (!abort.signal.aborted) setProblem(problemOf(err));
      }
    }, rest);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [text]);
  return { places, problem };
}

/** Moves a group, or one of its partitions, and tells first what that means. */
export function SeekDialog({ group, earliest, at, onClose, onDone }: { group: Group; earliest: Earliest; at?: Place; onClose: () => void; onDone: () => void }) {
  const [draft, setDraft] = useState<Draft>({ kind: 'earliest', time: '' });
  const [topics, setTopics] = useState('');
  const [position, setPosition] = useState(at ? String(at.position) : '');
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const target = targetOf(at, position, draft, topics);
  const { places, problem: refusal } = usePreview(group, target);
  const submit = async (e: Event) => {
    e.preventDefault();
    if (!target) return;
    setBusy(true);
    setProblem(null);
    try {
      await ask(group.name, target);
      onClose();
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
    }
    setBusy(false);
  };
  const trouble = problem ?? refusal;
  return (
    <Dialog title={at ? `Seek ${group.name} in ${keyOf(at)}` : `Seek ${group.name}`} onClose={onClose} wide>
      <form class="stack" onSubmit={submit}>
        {at
          ? <Field label="Position to read next" hint="that of an event, or one more than that of the last"><input class="mono" inputMode="numeric" autofocus value={position} onInput={(e) => setPosition(e.currentTarget.value.trim())} aria-invalid={!target || !!refusal} /></Field>
          : (
            <>
              <From value={draft} onChange={setDraft} label="Go on with" />
              <Field label="Only in topics" hint="names and patterns; empty: all that the group has places in"><input class="mono" autocomplete="off" spellcheck={false} value={topics} onInput={(e) => setTopics(e.currentTarget.value)} placeholder="all" /></Field>
            </>
          )}
        {trouble ? <ErrorPanel problem={trouble} /> : <Preview group={group} earliest={earliest} places={places} />}
        <Code of={seekGroup(group.name, target ?? { to: 'earliest' })} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={busy || !target || !places}>Seek</button>
        </div>
      </form>
    </Dialog>
  );
}

/** What to ask for; null while it is not complete. */
function targetOf(at: Place | undefined, position: string, draft: Draft, topics: string): Target | null {
  if (at) return /^[1-9]\d{0,14}$/.test(position) ? { positions: [{ ...at, position: Number(position) }] } : null;
  const list = topics.split(/[\s,]+/).filter(Boolean), to = toOf(draft);
  return to ? { to, ...(list.length ? { topics: list } : {}) } : null;
}

function Preview({ group, earliest, places }: { group: Group; earliest: Earliest; places: Place[] | null }) {
  if (!places) return <p class="muted" role="status">Looking what that means…</p>;
  const all = moves(group.partitions, places, earliest);
  const again = all.reduce((n, m) => n + m.again, 0), skipped = all.reduce((n, m) => n + m.skipped, 0);
  const readers = new Set(all.flatMap((m) => (m.member ? [m.member] : []))).size;
  return (
    <div class="stack" data-testid="preview">
      <p role="status">
        <strong>{says(again, skipped)}</strong>{' '}
        {readers ? `${readers === 1 ? 'One member begins' : `${count(readers)} members begin`} anew in generation ${count(group.generation + 1)}; what they still commit of the present one is refused.` : 'Nobody reads there now.'}
      </p>
      {all.length > 0 && (
        <div class="scroll-x" role="region" tabIndex={0} aria-label="Preview">
          <table class="grid dense">
            <thead><tr><th scope="col">Partition</th><th scope="col" class="num">From</th><th scope="col" class="num">To</th><th scope="col" class="num">Again</th><th scope="col" class="num">Skipped</th></tr></thead>
            <tbody>{all.slice(0, rows).map((m) => <Line key={keyOf(m)} m={m} />)}</tbody>
          </table>
        </div>
      )}
      {all.length > rows && <p class="muted small">The first {rows} of {count(all.length)} partitions.</p>}
    </div>
  );
}

function Line({ m }: { m: Move }) {
  return <tr><th scope="row" class="mono">{keyOf(m)}</th><td class="num">{count(m.from)}</td><td class="num">{count(m.to)}</td><td class={m.again ? 'num good' : 'num'}>{count(m.again)}</td><td class={m.skipped ? 'num warn' : 'num'}>{count(m.skipped)}</td></tr>;
}

/** The whole of it in a sentence. Positions may have gaps: it cannot be more. */
function says(again: number, skipped: number): string {
  const events = (n: number) => `${count(n)} ${n === 1 ? 'event' : 'events'}`;
  if (again && skipped) return `Up to ${events(again)} come again, and up to ${events(skipped)} are skipped.`;
  if (again) return `Up to ${events(again)} ${again === 1 ? 'comes' : 'come'} again.`;
  if (skipped) return `Up to ${events(skipped)} ${skipped === 1 ? 'is' : 'are'} skipped.`;
  return 'Nothing comes again, and nothing is skipped.';
}
