import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';

export interface Shortcut {
  keys: string; // 'f', '/', 'g t'
  does: string;
  run: () => void;
}

/** The shortcuts that hold now; the help overlay lists them. */
export const shortcuts = signal<Shortcut[]>([]);

/** Adds shortcuts for as long as a component is there: from the moment it is drawn, for a key may come before the next frame. */
export function useKeys(make: () => Shortcut[], inputs: unknown[] = []): void {
  useLayoutEffect(() => {
    const mine = make();
    shortcuts.value = [...shortcuts.value, ...mine];
    return () => {
      shortcuts.value = shortcuts.value.filter((s) => !mine.includes(s));
    };
  }, inputs);
}

let before = '';

/** Listens to the keyboard; typing in fields and what the browser does with modifiers is left alone. */
export function listen(): () => void {
  const on = (e: KeyboardEvent) => {
    const at = e.target as HTMLElement;
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || document.querySelector('dialog[open]')) return;
    if (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) return;
    const pair = `${before} ${e.key}`;
    const hit = shortcuts.value.findLast((s) => s.keys === pair) ?? shortcuts.value.findLast((s) => s.keys === e.key);
    before = e.key;
    if (hit) {
      e.preventDefault();
      before = '';
      hit.run();
    }
  };
  addEventListener('keydown', on);
  return () => removeEventListener('keydown', on);
}
