import { signal } from '@preact/signals';
import { Copy, Tabs } from './ui';

/** The same action for somebody who does not use the console. */
export interface Snippet {
  cli: string;
  curl: string;
  go: string;
  ts: string;
}

type Language = keyof Snippet;
const names: [Language, string][] = [['cli', 'CLI'], ['curl', 'curl'], ['go', 'Go'], ['ts', 'TypeScript']];
const key = 'parley.language';
const stored = localStorage.getItem(key) as Language | null;
const language = signal<Language>(names.some(([l]) => l === stored) ? stored! : 'curl');

export function Code({ of, open }: { of: Snippet; open?: boolean }) {
  const choose = (l: Language) => {
    language.value = l;
    localStorage.setItem(key, l);
  };
  return (
    <details class="code" open={open}>
      <summary>The same as code</summary>
      <div class="code-head">
        <Tabs label="Language" tabs={names} value={language.value} onChange={choose} />
        <Copy text={() => of[language.value]} />
      </div>
      <pre tabIndex={0}><code>{of[language.value]}</code></pre>
    </details>
  );
}

/** Quotes for a POSIX shell. */
export const sh = (text: string) => (/^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** A command of the CLI, with the address unless it is the one that the CLI takes by itself. */
export const cli = (command: string) => (/^http:\/\/(127\.0\.0\.1|localhost):7275$/.test(location.origin) ? command : `${command} --server ${location.origin}`);

/** A Go string literal. */
export const goString = (text: string) => (/[`\r]/.test(text) || !/["\\\n]/.test(text) ? JSON.stringify(text) : '`' + text + '`');

export const ts = (text: string) => JSON.stringify(text);

/** A Go program around a statement. */
export const goMain = (body: string) => `c, err := client.New(${goString(location.origin)}, client.Options{})
if err != nil {
	return err
}
${body}`;
