import { useEffect, useState } from 'preact/hooks';
import { json, problemOf, topicPath, type Problem } from '../../api';
import { Code } from '../../code';
import { ErrorPanel, Field } from '../../ui';
import type { Version } from './schemas';
import { putSchema } from './schemasnippets';

interface Conflict { direction: string; version: number; path: string; text: string; undecided?: boolean }
interface Answer { compatible?: boolean; conflicts?: Conflict[] }

const rules = ['backward', 'forward', 'full', 'backward_transitive', 'forward_transitive', 'full_transitive', 'none'];
const promises: Record<string, string> = {
  backward: 'what was valid stays valid', forward: 'what is valid now was valid before', full: 'both',
  backward_transitive: 'what was ever valid stays valid', forward_transitive: 'what is valid now was valid in every version', full_transitive: 'both, for every version', none: 'anything',
};
const fresh = '{\n  "type": "object",\n  "required": ["id"],\n  "properties": {\n    "id": { "type": "string" }\n  }\n}';
const rest = 300; // milliseconds that typing rests before the server is asked

/** Writes a version, and hears while writing whether the rule lets it through. */
export function NewVersion({ topic, of, onClose, onDone }: { topic: string; of?: Version; onClose: () => void; onDone: (v: Version) => void }) {
  const [text, setText] = useState(of ? '' : fresh);
  const [kind, setKind] = useState(of?.type ?? '');
  const [rule, setRule] = useState(of?.compatibility ?? 'backward');
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const path = (...more: string[]) => topicPath(topic, 'schema', ...more) + (kind ? `?type=${encodeURIComponent(kind)}` : '');
  const send = (method: string, at: string, signal?: AbortSignal) => ({ at, init: { method, headers: { 'Content-Type': 'application/json' }, body: `{"schema": ${text}, "compatibility": "${rule}"}`, signal } });
  useEffect(() => { // the newest is where one goes on from
    if (of) json<Version>(path()).then((v) => setText(JSON.stringify(v.schema, null, 2)), (err) => setProblem(problemOf(err)));
  }, []);
  useEffect(() => {
    setAnswer(null);
    if (!text) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        JSON.parse(text);
        const { at, init } = send('POST', path('check'), abort.signal);
        const said = await json<Answer>(at, init);
        if (!abort.signal.aborted) setAnswer(said);
        setProblem(null);
      } catch (err) {
        if (!abort.signal.aborted) setProblem(err instanceof SyntaxError ? { status: 0, title: 'Not JSON', detail: err.message, fix: 'write a JSON Schema, draft 2020-12' } : problemOf(err));
      }
    }, rest);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [text, kind, rule]);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    try {
      const { at, init } = send('PUT', path());
      onDone(await json<Version>(at, init));
    } catch (err) {
      setProblem(problemOf(err));
      setBusy(false);
    }
  };
  return (
    <form class="stack" onSubmit={submit}>
      <div class="fields">
        {!of && <Field label="For events of type" hint="empty: all events of the topic"><input class="mono" autocomplete="off" spellcheck={false} value={kind} onInput={(e) => setKind(e.currentTarget.value.trim())} placeholder="all" /></Field>}
        <Field label="A new version has to be" hint={promises[rule]}><select value={rule} onChange={(e) => setRule(e.currentTarget.value)}>{rules.map((r) => <option key={r} value={r}>{r.replaceAll('_', ' ')}</option>)}</select></Field>
      </div>
      <Field label="JSON Schema"><textarea class="mono" rows={12} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} /></Field>
      {problem ? <ErrorPanel problem={problem} /> : <Verdict of={answer} />}
      <Code of={putSchema(topic, kind, text, rule)} />
      <div class="actions">
        <button type="button" onClick={onClose}>Cancel</button>
        <button class="primary" disabled={busy || !answer?.compatible}>Put</button>
      </div>
    </form>
  );
}

function Verdict({ of }: { of: Answer | null }) {
  if (!of) return <p class="muted" role="status">Asking whether it fits…</p>;
  if (of.compatible) return <p class="good" role="status"><strong>It fits.</strong></p>;
  return (
    <div role="status">
      <p class="bad"><strong>The rule does not let it through.</strong></p>
      <ul class="conflicts">{of.conflicts?.map((c, i) => <li key={i}><code>{c.path || 'the whole'}</code> {c.text}{c.undecided && ' (nothing can prove it)'} <span class="muted">{c.direction} of version {c.version}</span></li>)}</ul>
    </div>
  );
}
