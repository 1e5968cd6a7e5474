import { useEffect, useRef, useState } from 'preact/hooks';
import { json, problemOf, type Problem } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { setQuery } from '../../router';
import { Dialog, ErrorPanel, Field } from '../../ui';
import { lasting, queuePath } from './model';
import { enqueue, isJSON, jobsType, jobText, type JobDraft } from './snippets';

const fresh: JobDraft = { data: '{"to": "ann@example.com"}', type: '', delay: '', priority: '0', key: '', unique: '', max_attempts: '', times: '1' };
const perRequest = 5000, mostTimes = 100_000;

interface Added { id: string; duplicate?: string }

/** Adds a job, or many of the same, and stays for the next. */
export function Enqueue({ queue, onClose, onDone }: { queue: string; onClose: () => void; onDone: () => void }) {
  const [draft, setDraft] = useState(fresh);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [said, say] = useState<preact.ComponentChildren>('');
  const [busy, setBusy] = useState(false);
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);
  const times = /^\d+$/.test(draft.times) ? Number(draft.times) : NaN;
  const wrong = !(times >= 1 && times <= mostTimes);
  const input = (member: keyof JobDraft) => ({
    value: draft[member], 'aria-invalid': (!!problem?.field && problem.field.endsWith(member)) || (member === 'times' && wrong), spellcheck: false, autocomplete: 'off',
    onInput: (e: { currentTarget: { value: string } }) => setDraft({ ...draft, [member]: member === 'data' ? e.currentTarget.value : e.currentTarget.value.trim() }),
  });
  const show = (id: string, word: string) => <>{word} <button type="button" class="link" onClick={() => { setQuery({ job: id }, true); onClose(); }}>job {id}</button></>;
  const submit = async (e?: Event) => {
    e?.preventDefault();
    if (busy || wrong) return;
    setBusy(true);
    setProblem(null);
    say('');
    const began = performance.now(), text = jobText(draft);
    try {
      for (let n = 0; n < times; ) {
        const some = Math.min(perRequest, times - n);
        const { jobs } = await json<{ jobs: Added[] }>(queuePath(queue, 'jobs'), { method: 'POST', headers: jobsType, body: `{"jobs":[${Array(some).fill(text).join(',')}]}`, signal: abort.current.signal });
        n += some;
        const one = jobs[0]!;
        say(times === 1 ? (one.duplicate ? show(one.duplicate, 'Dropped: there is already') : show(one.id, 'Added')) : n < times ? `${count(n)} of ${count(times)}…` : `${count(n)} jobs in ${lasting(performance.now() - began)}`);
      }
      onDone();
    } catch (err) {
      if (abort.current.signal.aborted) return;
      setProblem(problemOf(err));
    }
    setBusy(false);
  };
  return (
    <Dialog title={`Enqueue into ${queue}`} onClose={onClose} wide>
      <form class="stack" onSubmit={submit} onKeyDown={(e) => { if (e.key === 'Enter' && (e.metaKey || e.ctrlKey)) void submit(e); }}>
        <Field label="Data" hint={isJSON(draft.data) ? 'JSON' : 'text'}><textarea class="mono" rows={3} autofocus {...input('data')} /></Field>
        <div class="fields four">
          <Field label="Rests for" hint="such as 10m"><input class="mono" placeholder="0s" {...input('delay')} /></Field>
          <Field label="Priority" hint="0 to 9, higher first"><input class="mono" inputMode="numeric" {...input('priority')} /></Field>
          <Field label="Key" hint="one at a time, in order"><input class="mono" placeholder="none" {...input('key')} /></Field>
          <Field label="Unique" hint="dropped while one is there"><input class="mono" placeholder="none" {...input('unique')} /></Field>
          <Field label="Attempts at most" hint="−1 is no limit"><input class="mono" placeholder="the queue's" {...input('max_attempts')} /></Field>
          <Field label="Type"><input class="mono" placeholder="parley.job" {...input('type')} /></Field>
          <Field label="How many" hint={`1 to ${count(mostTimes)}: to see a spike`}><input class="mono" inputMode="numeric" {...input('times')} /></Field>
        </div>
        {problem && <ErrorPanel problem={problem} />}
        <div class="actions">
          <span class="good" role="status" data-testid="added">{said}</span>
          <span class="spring" />
          <button type="button" onClick={onClose}>Close</button>
          <button class="primary" disabled={busy || wrong} title="Ctrl+Enter">Enqueue</button>
        </div>
        <Code of={enqueue(queue, draft)} />
      </form>
    </Dialog>
  );
}
