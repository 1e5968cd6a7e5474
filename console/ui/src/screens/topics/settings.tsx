import { useState } from 'preact/hooks';
import { json, problemOf, send, topicPath, type Problem } from '../../api';
import { Code } from '../../code';
import { Dialog, ErrorPanel, Field } from '../../ui';
import type { Topic } from './model';
import { deleteTopic, putTopic } from './snippets';

type Draft = Record<'partitions' | 'durability' | 'max_age' | 'max_bytes' | 'max_event' | 'poll_hint', string>;
const fresh: Draft = { partitions: '1', durability: 'fsync', max_age: '168h', max_bytes: '-1', max_event: '1048576', poll_hint: '0s' };

/** The members in which a draft differs from a topic, or from what a new one has anyway. */
function changes(draft: Draft, from: Draft): Record<string, string | number> {
  const out: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(draft)) {
    if (value.trim() === from[name as keyof Draft]) continue;
    const number = name === 'partitions' || name === 'max_bytes' || name === 'max_event';
    out[name] = number && /^-?\d+$/.test(value.trim()) ? Number(value) : value.trim();
  }
  return out;
}

/** Creates a topic, or changes the settings of one. */
export function SettingsDialog({ topic, onClose, onDone }: { topic?: Topic; onClose: () => void; onDone: (t: Topic) => void }) {
  const from: Draft = topic ? (Object.fromEntries(Object.entries(topic.settings).map(([k, v]) => [k, String(v)])) as Draft) : fresh;
  const [name, setName] = useState(topic?.name ?? '');
  const [draft, setDraft] = useState(from);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const change = changes(draft, from);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      if (!topic && (await exists(name.trim()))) throw new Error('exists');
      onDone(await json<Topic>(topicPath(name.trim()), { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(change) }));
      onClose();
    } catch (err) {
      setProblem(err instanceof Error && err.message === 'exists' ? { status: 0, title: 'Already exists', detail: `there is a topic ${name.trim()}`, field: 'name', fix: 'choose another name, or change the settings of that one on its page' } : problemOf(err));
      setBusy(false);
    }
  };
  const input = (member: keyof Draft) => ({ value: draft[member], 'aria-invalid': problem?.field === member, onInput: (e: { currentTarget: { value: string } }) => setDraft({ ...draft, [member]: e.currentTarget.value }) });
  return (
    <Dialog title={topic ? `Settings of ${topic.name}` : 'New topic'} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        {!topic && (
          <Field label="Name" hint="letters, digits, - and _; dots make levels; ~ at the start is ephemeral">
            <input class="mono" required autofocus autocomplete="off" spellcheck={false} value={name} onInput={(e) => setName(e.currentTarget.value)} placeholder="orders.eu" />
          </Field>
        )}
        <div class="fields">
          <Field label="Partitions" hint={topic ? 'can grow; keys are then placed anew' : '1 to 1,024'}><input inputMode="numeric" {...input('partitions')} /></Field>
          <Field label="Durability" hint={{ fsync: 'acknowledged once on disk', os: 'once the system has it', memory: 'gone with the process' }[draft.durability]}>
            <select {...input('durability')}>{['fsync', 'os', 'memory'].map((d) => <option key={d}>{d}</option>)}</select>
          </Field>
          <Field label="Kept for" hint="such as 36h, or none: for ever"><input {...input('max_age')} /></Field>
          <Field label="At most, bytes" hint="−1 is no limit"><input inputMode="numeric" {...input('max_bytes')} /></Field>
          <Field label="Largest event, bytes" hint="up to 8,388,608"><input inputMode="numeric" {...input('max_event')} /></Field>
          <Field label="Poll hint" hint="how long pollers and caches may wait"><input {...input('poll_hint')} /></Field>
        </div>
        {problem && <ErrorPanel problem={problem} />}
        <Code of={putTopic(name || 'NAME', change)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={busy || !name.trim() || (!!topic && Object.keys(change).length === 0)}>{topic ? 'Save' : 'Create'}</button>
        </div>
      </form>
    </Dialog>
  );
}

async function exists(name: string): Promise<boolean> {
  try {
    await send(topicPath(name));
    return true;
  } catch (err) {
    if (problemOf(err).status === 404) return false;
    throw err;
  }
}

/** Asks for the name, since nothing brings the events back. */
export function DeleteDialog({ topic, onClose, onDone }: { topic: string; onClose: () => void; onDone: () => void }) {
  const [typed, type] = useState('');
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (e: Event) => {
    e.preventDefault();
    try {
      await send(topicPath(topic), { method: 'DELETE' });
      onClose();
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
    }
  };
  return (
    <Dialog title={`Delete ${topic}?`} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p>All its events go with it, and every reader's place. Nothing brings them back.</p>
        <Field label={`Type ${topic} to confirm`}><input class="mono" autofocus autocomplete="off" spellcheck={false} value={typed} onInput={(e) => type(e.currentTarget.value)} /></Field>
        {problem && <ErrorPanel problem={problem} />}
        <Code of={deleteTopic(topic)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="danger" disabled={typed !== topic}>Delete topic</button>
        </div>
      </form>
    </Dialog>
  );
}
