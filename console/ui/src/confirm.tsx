import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { problemOf, type Problem } from './api';
import { Code, type Snippet } from './code';
import { Dialog, ErrorPanel } from './ui';

/** Asks before something is done that others notice. */
export function Confirm({ title, action, danger, disabled, of, run, onClose, onDone, children }: { title: string; action: string; danger?: boolean; disabled?: boolean; of: Snippet; run: () => Promise<unknown>; onClose: () => void; onDone: () => void; children: ComponentChildren }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    try {
      await run();
      onClose();
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        {children}
        {problem && <ErrorPanel problem={problem} />}
        <Code of={of} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class={danger ? 'danger' : 'primary'} disabled={busy || disabled}>{action}</button>
        </div>
      </form>
    </Dialog>
  );
}
