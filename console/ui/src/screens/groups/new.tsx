import { useState } from 'preact/hooks';
import { problemOf, send, type Problem } from '../../api';
import { Code } from '../../code';
import { Dialog, ErrorPanel, Field } from '../../ui';
import { groupPath } from './model';
import { From, toOf, type Draft } from './from';
import { seekGroup } from './snippets';

/** Makes a group that nobody reads yet, with places to begin from. */
export function NewDialog({ onClose, onDone }: { onClose: () => void; onDone: (name: string) => void }) {
  const [name, setName] = useState('');
  const [topics, setTopics] = useState('');
  const [from, setFrom] = useState<Draft>({ kind: 'earliest', time: '' });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const list = topics.split(/[\s,]+/).filter(Boolean);
  const body = { to: toOf(from), topics: list };
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      if (await exists(name.trim())) {
        setProblem({ status: 0, title: 'Already exists', detail: `there is a group ${name.trim()}`, field: 'name', fix: 'choose another name, or move that one on its page' });
      } else {
        await send(groupPath(name.trim(), 'seek'), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
        onClose();
        onDone(name.trim());
      }
    } catch (err) {
      setProblem(problemOf(err));
    }
    setBusy(false);
  };
  return (
    <Dialog title="New group" onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p class="muted small">The first member makes a group by itself. To make one before says where it begins.</p>
        <Field label="Name" hint="letters, digits, - and _; dots make levels">
          <input class="mono" required autofocus autocomplete="off" spellcheck={false} value={name} onInput={(e) => setName(e.currentTarget.value)} placeholder="billing" aria-invalid={problem?.field === 'name' || problem?.field === 'group'} />
        </Field>
        <Field label="Topics" hint={<>names and patterns, such as <code>orders.&gt;</code></>}>
          <input class="mono" required autocomplete="off" spellcheck={false} value={topics} onInput={(e) => setTopics(e.currentTarget.value)} placeholder="orders" aria-invalid={!!problem?.field?.startsWith('topics')} />
        </Field>
        <From value={from} onChange={setFrom} label="Begins with" />
        {problem && <ErrorPanel problem={problem} />}
        <Code of={seekGroup(name.trim() || 'NAME', body)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={busy || !name.trim() || list.length === 0 || !body.to}>Create</button>
        </div>
      </form>
    </Dialog>
  );
}

async function exists(name: string): Promise<boolean> {
  try {
    await send(groupPath(name));
    return true;
  } catch (err) {
    if (problemOf(err).status === 404) return false;
    throw err;
  }
}
