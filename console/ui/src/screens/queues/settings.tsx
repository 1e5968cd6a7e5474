import { useState } from 'preact/hooks';
import { json, problemOf, send, type Problem } from '../../api';
import { Code } from '../../code';
import { Dialog, ErrorPanel, Field } from '../../ui';
import { queuePath, short, type Queue, type Retry, type Settings } from './model';
import { putQueue } from './snippets';

type Draft = Record<'max_attempts' | 'visibility' | 'concurrency' | 'rate' | 'dead_letter' | 'results' | 'feed' | 'kind' | 'delay' | 'max' | 'delays' | 'jitter', string>;
const defaults: Settings = { max_attempts: 20, visibility: '30s', retry: { kind: 'exponential', delay: '1s', max: '15m', jitter: 0.2 }, concurrency: 0, rate: '', dead_letter: '', results: '' };

export function draftOf(s: Settings): Draft {
  const r = s.retry;
  return {
    max_attempts: String(s.max_attempts), visibility: short(s.visibility), concurrency: String(s.concurrency), rate: s.rate, dead_letter: s.dead_letter, results: s.results, feed: (s.feed ?? []).join(' '),
    kind: r.kind, delay: short(r.delay ?? '1s'), max: short(r.max ?? '15m'), delays: (r.delays ?? ['1s', '1m', '1h']).map(short).join(', '), jitter: String(Math.max(0, r.jitter ?? 0)),
  };
}

function retryOf(d: Draft): Retry {
  const jitter = Number(d.jitter) || -1; // 0 would be the default
  switch (d.kind) {
    case 'fixed': return { kind: 'fixed', delay: d.delay, jitter };
    case 'list': return { kind: 'list', delays: d.delays.split(/[\s,]+/).filter(Boolean), jitter };
    default: return { kind: 'exponential', delay: d.delay, max: d.max, jitter };
  }
}

const number = (text: string) => (/^-?\d+$/.test(text) ? Number(text) : (text as unknown as number)); // the server says what is wrong

/** The members in which a draft differs from what there is. */
export function changes(d: Draft, from: Draft): Partial<Settings> {
  const out: Partial<Settings> = {};
  if (d.max_attempts !== from.max_attempts) out.max_attempts = number(d.max_attempts);
  if (d.concurrency !== from.concurrency) out.concurrency = number(d.concurrency);
  for (const member of ['visibility', 'rate', 'dead_letter', 'results'] as const) if (d[member] !== from[member]) out[member] = d[member];
  if (d.feed !== from.feed) out.feed = d.feed.split(/[\s,]+/).filter(Boolean);
  if (JSON.stringify(retryOf(d)) !== JSON.stringify(retryOf(from))) out.retry = retryOf(d);
  return out;
}

/** Makes a queue, or changes the settings of one. */
export function SettingsDialog({ queue, onClose, onDone }: { queue?: Queue; onClose: () => void; onDone: (q: Queue) => void }) {
  const [from] = useState(() => draftOf(queue?.settings ?? defaults));
  const [name, setName] = useState(queue?.name ?? '');
  const [draft, setDraft] = useState(from);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const change = changes(draft, from);
  const input = (member: keyof Draft, field: string = member) => ({
    value: draft[member], 'aria-invalid': problem?.field === field, spellcheck: false, autocomplete: 'off',
    onInput: (e: { currentTarget: { value: string } }) => setDraft({ ...draft, [member]: e.currentTarget.value }),
  });
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      if (!queue && (await exists(name.trim()))) {
        setProblem({ status: 0, title: 'Already exists', detail: `there is a queue ${name.trim()}`, field: 'name', fix: 'choose another name, or change the settings of that one on its page' });
      } else {
        onDone(await json<Queue>(queuePath(name.trim()), { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(change) }));
        onClose();
      }
    } catch (err) {
      setProblem(problemOf(err));
    }
    setBusy(false);
  };
  return (
    <Dialog title={queue ? `Settings of ${queue.name}` : 'New queue'} onClose={onClose} wide>
      <form class="stack" onSubmit={submit}>
        {!queue && (
          <Field label="Name" hint="letters, digits, - and _; dots make levels">
            <input class="mono" required autofocus autocomplete="off" spellcheck={false} value={name} onInput={(e) => setName(e.currentTarget.value)} placeholder="emails" />
          </Field>
        )}
        <div class="fields">
          <Field label="Attempts at most" hint="then a job is dead; −1 is no limit"><input class="mono" inputMode="numeric" {...input('max_attempts')} /></Field>
          <Field label="A lease lasts" hint="workers extend it while they work"><input class="mono" {...input('visibility')} /></Field>
          <Field label="Leased at once" hint="by all workers together; 0 is no limit"><input class="mono" inputMode="numeric" {...input('concurrency')} /></Field>
          <Field label="Leased at" hint={<>such as <code>100/1h</code>; empty: no limit</>}><input class="mono" {...input('rate')} /></Field>
          <Field label="Tried again" hint={{ exponential: 'each delay is twice the one before', fixed: 'always after the same delay', list: 'delays one by one, then the last' }[draft.kind]}>
            <select {...input('kind', 'retry.kind')}><option value="exponential">exponentially</option><option value="fixed">at a fixed pace</option><option value="list">as listed</option></select>
          </Field>
          {draft.kind === 'list' ? <Field label="Delays"><input class="mono" {...input('delays', 'retry.delays')} /></Field> : <Field label={draft.kind === 'fixed' ? 'Delay' : 'First delay'}><input class="mono" {...input('delay', 'retry')} /></Field>}
          {draft.kind === 'exponential' && <Field label="Longest delay"><input class="mono" {...input('max', 'retry')} /></Field>}
          <Field label="Jitter" hint="± this part of each delay, 0 to 1"><input class="mono" inputMode="decimal" {...input('jitter', 'retry.jitter')} /></Field>
          <Field label="Dead letters go to" hint="a topic; - is none"><input class="mono" placeholder={`${name || 'QUEUE'}.dead`} {...input('dead_letter')} /></Field>
          <Field label="Results go to" hint="a topic; - is none"><input class="mono" placeholder={`${name || 'QUEUE'}.results`} {...input('results')} /></Field>
          <Field label="Fed by" hint={<>topic patterns: each event is a job, such as <code>orders.&gt;</code></>}><input class="mono" placeholder="none" {...input('feed')} /></Field>
        </div>
        {queue && <p class="muted small">They hold from now on: leases and delays under way stay.</p>}
        {problem && <ErrorPanel problem={problem} />}
        <Code of={putQueue(name.trim() || 'NAME', change)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={busy || !name.trim() || (!!queue && Object.keys(change).length === 0)}>{queue ? 'Save' : 'Create'}</button>
        </div>
      </form>
    </Dialog>
  );
}

async function exists(name: string): Promise<boolean> {
  try {
    await send(queuePath(name));
    return true;
  } catch (err) {
    if (problemOf(err).status === 404) return false;
    throw err;
  }
}
