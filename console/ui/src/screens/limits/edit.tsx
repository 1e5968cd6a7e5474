import { useState } from 'preact/hooks';
import { json, problemOf, send, type Problem } from '../../api';
import { Code } from '../../code';
import { Dialog, ErrorPanel, Field } from '../../ui';
import { algorithms, limitPath, tidy, type Definition, type Limit } from './model';
import { deleteLimit, putLimit } from './snippets';

type Draft = Record<'limit' | 'algorithm' | 'key' | 'on' | 'too_much' | 'max_wait', string>;
const fresh: Draft = { limit: '100/1m burst=20', algorithm: 'token-bucket', key: 'ip', on: 'publish', too_much: 'reject', max_wait: '10s' };

const draftOf = (l: Limit): Draft => ({
  limit: tidy(l.limit), algorithm: l.algorithm ?? 'token-bucket', key: l.key ?? 'ip', on: (l.on ?? []).join(' '),
  too_much: l.mode === 'shadow' ? 'shadow' : (l.action ?? 'reject'), max_wait: l.max_wait ?? '10s',
});

function definitionOf(d: Draft): Definition {
  const on = d.on.split(/[\s,]+/).filter(Boolean);
  return {
    limit: d.limit.trim(), algorithm: d.algorithm, key: d.key.trim(), ...(on.length ? { on } : {}),
    ...(d.too_much === 'shape' ? { action: 'shape', max_wait: d.max_wait.trim() } : {}),
    ...(d.too_much === 'shadow' ? { mode: 'shadow' } : {}),
  };
}

const manners: Record<string, string> = {
  reject: '429, and when to come back',
  shape: 'first in, first out for each key',
  shadow: 'nobody notices: to find out what a limit would do',
};

/** Makes a limit, or changes one. */
export function EditDialog({ limit, onClose, onDone }: { limit?: Limit; onClose: () => void; onDone: (l: Limit) => void }) {
  const [name, setName] = useState(limit?.name ?? '');
  const [draft, setDraft] = useState(limit ? draftOf(limit) : fresh);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const algorithm = algorithms.find((a) => a.name === draft.algorithm);
  const set = (member: keyof Draft, value: string) => setDraft({ ...draft, [member]: value });
  const input = (member: keyof Draft, field: string = member) => ({
    value: draft[member], 'aria-invalid': !!problem?.field && problem.field.replace(/\[\d+\]$/, '') === field,
    onInput: (e: { currentTarget: { value: string } }) => set(member, e.currentTarget.value),
  });
  const choose = (next: string) => {
    const before = algorithms.find((a) => a.name === draft.algorithm)?.example;
    const example = algorithms.find((a) => a.name === next)?.example ?? '';
    setDraft({ ...draft, algorithm: next, limit: draft.limit === before || draft.limit === '' ? example : draft.limit });
  };
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      if (!limit && (await exists(name.trim()))) {
        setProblem({ status: 0, title: 'Already exists', detail: `there is a limit ${name.trim()}`, field: 'name', fix: 'choose another name, or change that one on its page' });
      } else {
        onDone(await json<Limit>(limitPath(name.trim()), { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(definitionOf(draft)) }));
        onClose();
      }
    } catch (err) {
      setProblem(problemOf(err));
    }
    setBusy(false);
  };
  return (
    <Dialog title={limit ? `Change ${limit.name}` : 'New limit'} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        {!limit && (
          <Field label="Name" hint="letters, digits, - and _; dots make levels">
            <input class="mono" required autofocus autocomplete="off" spellcheck={false} value={name} onInput={(e) => setName(e.currentTarget.value)} placeholder="per-ip" />
          </Field>
        )}
        <Field label="Algorithm" hint={algorithm?.promise}>
          <select value={draft.algorithm} onChange={(e) => choose(e.currentTarget.value)}>{algorithms.map((a) => <option key={a.name}>{a.name}</option>)}</select>
        </Field>
        <div class="fields">
          <Field label="How much" hint={<>such as <code>{algorithm?.example}</code></>}><input class="mono" required spellcheck={false} autocomplete="off" {...input('limit')} /></Field>
          <Field label="Counted by" hint="several joined by +">
            <input class="mono" list="limit-keys" spellcheck={false} autocomplete="off" {...input('key')} />
            <datalist id="limit-keys">{['ip', 'token', 'topic', 'everyone', 'ip+topic', 'path', 'route', 'header:X-Tenant'].map((k) => <option key={k} value={k} />)}</datalist>
          </Field>
          <Field label="Applied to" hint={<>publish, subscribe, poll, request; with topics: <code>publish:orders.&gt;</code>. Empty: checks alone</>}>
            <input class="mono" spellcheck={false} autocomplete="off" {...input('on')} />
          </Field>
          <Field label="Too much is" hint={manners[draft.too_much]}>
            <select {...input('too_much', 'action')}><option value="reject">refused</option><option value="shape">made to wait</option><option value="shadow">only counted</option></select>
          </Field>
          {draft.too_much === 'shape' && <Field label="Waits at most" hint="1ms to 30s"><input class="mono" {...input('max_wait')} /></Field>}
        </div>
        {limit && <p class="muted small">Keys keep what they have spent, unless what is counted by changes.</p>}
        {problem && <ErrorPanel problem={problem} />}
        <Code of={putLimit(name.trim() || 'NAME', definitionOf(draft))} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={busy || !name.trim()}>{limit ? 'Save' : 'Create'}</button>
        </div>
      </form>
    </Dialog>
  );
}

async function exists(name: string): Promise<boolean> {
  try {
    await send(limitPath(name));
    return true;
  } catch (err) {
    if (problemOf(err).status === 404) return false;
    throw err;
  }
}

export function DeleteDialog({ limit, onClose, onDone }: { limit: Limit; onClose: () => void; onDone: () => void }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (e: Event) => {
    e.preventDefault();
    try {
      await send(limitPath(limit.name), { method: 'DELETE' });
      onClose();
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
    }
  };
  return (
    <Dialog title={`Delete ${limit.name}?`} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p>{limit.on?.length ? `What it is applied to (${limit.on.join(', ')}) is no longer limited, at once and on every node.` : 'Programs that check it are told that there is none.'} What its keys have spent is forgotten.</p>
        {problem && <ErrorPanel problem={problem} />}
        <Code of={deleteLimit(limit.name)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="danger">Delete limit</button>
        </div>
      </form>
    </Dialog>
  );
}
