import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { Problem } from './api';

/** What happened, why, and what to do about it. */
export function ErrorPanel({ problem, onClose }: { problem: Problem; onClose?: () => void }) {
  return (
    <div class="problem" role="alert">
      <div class="problem-head">
        <strong>{problem.title}</strong>
        {problem.status > 0 && <span class="tag">{problem.status}</span>}
        {problem.field && <code class="tag">{problem.field}</code>}
        {onClose && <button class="quiet icon" aria-label="Dismiss" onClick={onClose}>×</button>}
      </div>
      {problem.detail && <p>{problem.detail}</p>}
      {problem.fix && <p class="fix"><span aria-hidden="true">→ </span>{problem.fix}</p>}
      {problem.trace && <p class="muted small">trace <code>{problem.trace}</code>: the server's log has the details under it</p>}
    </div>
  );
}

export function Copy({ text, label = 'Copy' }: { text: () => string; label?: string }) {
  const [said, say] = useState('');
  useEffect(() => {
    if (!said) return;
    const t = setTimeout(() => say(''), 1500);
    return () => clearTimeout(t);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      say('Copied');
    } catch {
      say('Not allowed by the browser');
    }
  };
  return <button type="button" class="quiet" onClick={copy} aria-live="polite">{said || label}</button>;
}

/** A modal dialog; Escape and the backdrop close it. */
export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const d = ref.current;
    const back = document.activeElement as HTMLElement | null;
    d?.showModal();
    return () => {
      d?.close();
      back?.focus();
    };
  }, []);
  return (
    <dialog ref={ref} class={wide ? 'wide' : ''} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); onClose(); }} onMouseDown={(e) => { if (e.target === ref.current) onClose(); }}>
      <div class="dialog-body">
        <header>
          <h2 id={id}>{title}</h2>
          <button type="button" class="quiet icon" aria-label="Close" onClick={onClose}>×</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** A labelled field with a hint below. */
export function Field({ label, hint, children, grow }: { label: string; hint?: ComponentChildren; children: ComponentChildren; grow?: boolean }) {
  return (
    <label class={grow ? 'field grow' : 'field'}>
      <span class="label">{label}</span>
      {children}
      {hint && <span class="hint">{hint}</span>}
    </label>
  );
}

/** An empty state: what is not there, and how it comes to be. */
export function Empty({ title, children, command }: { title: string; children?: ComponentChildren; command?: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
      {command && <div class="command"><code>{command}</code><Copy text={() => command} /></div>}
    </div>
  );
}

/** Tabs by the keyboard too: arrows move, as WAI-ARIA asks. */
export function Tabs<T extends string>({ label, tabs, value, onChange }: { label: string; tabs: [T, string][]; value: T; onChange: (v: T) => void }) {
  const move = (e: KeyboardEvent) => {
    const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    e.preventDefault();
    const i = (tabs.findIndex(([v]) => v === value) + step + tabs.length) % tabs.length;
    onChange(tabs[i]![0]);
    (e.currentTarget as HTMLElement).querySelectorAll('button')[i]?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(([v, name]) => (
        <button key={v} type="button" role="tab" aria-selected={v === value} tabIndex={v === value ? 0 : -1} onClick={() => onChange(v)}>{name}</button>
      ))}
    </div>
  );
}
