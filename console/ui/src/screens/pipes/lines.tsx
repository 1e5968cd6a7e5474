import type { Ref } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Numbers of lines beside a text; marked ones stand out. */
function Gutter({ lines, marked, inner }: { lines: number; marked: number[]; inner?: Ref<HTMLDivElement> }) {
  return <div class="gutter" aria-hidden="true"><div ref={inner}>{Array.from({ length: lines }, (_, i) => <span key={i} class={marked.includes(i + 1) ? 'marked' : ''}>{i + 1}</span>)}</div></div>;
}

const linesOf = (text: string) => text.replace(/\n$/, '').split('\n').length;

/** A text with its lines numbered. */
export function Numbered({ text, marked }: { text: string; marked: number[] }) {
  return <div class="numbered" tabIndex={0} aria-label="Text of the definition"><Gutter lines={linesOf(text)} marked={marked} /><pre>{text}</pre></div>;
}

/** A field for text with its lines numbered. at moves to a line, whenever it is another object. */
export function LineEditor({ value, marked, at, onInput, invalid }: { value: string; marked: number[]; at: { line: number } | null; onInput: (text: string) => void; invalid: boolean }) {
  const field = useRef<HTMLTextAreaElement>(null), inner = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const el = field.current;
    if (!el || !at) return;
    const before = el.value.split('\n').slice(0, at.line - 1).join('\n').length, from = at.line > 1 ? before + 1 : 0;
    const end = el.value.indexOf('\n', from);
    el.focus();
    el.setSelectionRange(from, end < 0 ? el.value.length : end);
  }, [at]);
  const scrolled = () => {
    if (inner.current && field.current) inner.current.style.transform = `translateY(${-field.current.scrollTop}px)`;
  };
  return (
    <div class="line-editor">
      <Gutter lines={value.split('\n').length} marked={marked} inner={inner} />
      <textarea ref={field} class="mono" rows={16} wrap="off" spellcheck={false} autocomplete="off" aria-label="Definition" aria-invalid={invalid} value={value} onScroll={scrolled} onInput={(e) => onInput(e.currentTarget.value)} />
    </div>
  );
}
