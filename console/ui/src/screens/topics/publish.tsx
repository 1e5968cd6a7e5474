import { useState } from 'preact/hooks';
import { json, problemOf, topicPath, type Problem } from '../../api';
import { Code } from '../../code';
import { ErrorPanel, Field } from '../../ui';
import { headersOf, publishEvent, type Draft } from './snippets';

interface Placed { partition: number; position: number; id: string }

/** Publishes one event, and stays for the next. */
export function Publish({ topic, onClose }: { topic: string; onClose: () => void }) {
  const [draft, setDraft] = useState<Draft>({ data: '{"hello": "world"}', media: 'application/json', key: '', type: '', subject: '' });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [placed, setPlaced] = useState<Placed | null>(null);
  const [busy, setBusy] = useState(false);
  const set = (member: keyof Draft) => (e: { currentTarget: { value: string } }) => setDraft({ ...draft, [member]: e.currentTarget.value });
  const broken = /json$/.test(draft.media) && !valid(draft.data);
  const submit = async (e?: Event) => {
    e?.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    setPlaced(null);
    try {
      const { events } = await json<{ events: Placed[] }>(topicPath(topic, 'events'), { method: 'POST', headers: headersOf(draft), body: draft.data });
      setPlaced(events[0] ?? null);
    } catch (err) {
      setProblem(problemOf(err));
    }
    setBusy(false);
  };
  const enter = (e: KeyboardEvent) => {
    if (e.key === 'Enter' && (e.metaKey || e.ctrlKey)) void submit(e);
    if (e.key === 'Escape') onClose();
  };
  return (
    <section class="panel publish" aria-label="Publish">
      <form class="stack" onSubmit={submit} onKeyDown={enter}>
        <Field label="Data" hint={broken ? <span class="warn">not valid JSON</span> : undefined}>
          <textarea class="mono" rows={4} spellcheck={false} autofocus value={draft.data} onInput={set('data')} />
        </Field>
        <div class="fields four">
          <Field label="Content type">
            <input list="media" value={draft.media} onInput={set('media')} />
            <datalist id="media">{['application/json', 'text/plain; charset=utf-8', 'application/x-ndjson', 'application/cloudevents+json', 'application/octet-stream'].map((m) => <option key={m} value={m} />)}</datalist>
          </Field>
          <Field label="Key"><input class="mono" placeholder="none" value={draft.key} onInput={set('key')} /></Field>
          <Field label="Type"><input class="mono" placeholder="parley.event" value={draft.type} onInput={set('type')} /></Field>
          <Field label="Subject"><input class="mono" placeholder="none" value={draft.subject} onInput={set('subject')} /></Field>
        </div>
        {problem && <ErrorPanel problem={problem} />}
        <div class="actions">
          {placed && <span class="good" role="status">partition {placed.partition}, position {placed.position}</span>}
          <span class="spring" />
          <button type="button" onClick={onClose}>Close</button>
          <button class="primary" disabled={busy} title="Ctrl+Enter">Publish</button>
        </div>
        <Code of={publishEvent(topic, draft)} />
      </form>
    </section>
  );
}

function valid(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
