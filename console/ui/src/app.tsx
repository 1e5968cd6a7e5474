import { effect, signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { connection, setToken, token, tokenWanted, type Connection } from './api';
import { listen, shortcuts, useKeys } from './keys';
import { follow, go, place, to } from './router';
import { screens } from './screens';
import { Dialog, Empty, ErrorPanel, Field } from './ui';

type Theme = 'auto' | 'light' | 'dark';
const themes: Theme[] = ['auto', 'light', 'dark'];
const themeKey = 'parley.theme';
const theme = signal<Theme>((localStorage.getItem(themeKey) as Theme) ?? 'auto');
effect(() => {
  if (theme.value === 'auto') {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(themeKey);
  } else {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem(themeKey, theme.value);
  }
});
const nextTheme = () => (theme.value = themes[(themes.indexOf(theme.value) + 1) % themes.length]!);

export function App() {
  const [help, setHelp] = useState(false);
  useEffect(listen, []);
  useKeys(() => [
    ...screens.map((s) => ({ keys: `g ${s.key}`, does: `go to ${s.title}`, run: () => go(to([s.path])) })),
    { keys: 't', does: 'switch between automatic, light and dark', run: nextTheme },
    { keys: '?', does: 'show the keyboard shortcuts', run: () => setHelp(true) },
  ]);
  const at = place.value.segments[0] ?? 'topics';
  const screen = screens.find((s) => s.path === at);
  useEffect(() => {
    document.title = [place.value.segments[1], screen?.title, 'Parley'].filter(Boolean).join(' · ');
  });
  useEffect(() => document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }), [at]); // where screens do not fit beside each other
  return (
    <div class="shell" onClick={follow}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to content</a>
      <nav aria-label="Screens">
        <a class="brand" href="/topics" aria-label="Parley">
          <svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" /><path d="M8 10h10M8 16h16M14 22h10" /></svg>
          <span>Parley</span>
        </a>
        <ul>
          {screens.map((s) => (
            <li key={s.path}>
              <a href={to([s.path])} aria-current={s === screen ? 'page' : undefined}>
                <svg viewBox="0 0 20 20" aria-hidden="true"><path d={s.icon} /></svg>
                {s.title}
              </a>
            </li>
          ))}
        </ul>
        <div class="nav-foot">
          <Status state={connection.value} />
          <div class="nav-tools">
            <button class="quiet" onClick={nextTheme} title="Theme (t)" aria-label={`Theme: ${theme.value}`}>
              {{ auto: 'Auto', light: 'Light', dark: 'Dark' }[theme.value]}
            </button>
            {token.value
              ? <button class="quiet" onClick={() => setToken('')} title="Forget the token">Sign out</button>
              : <button class="quiet" onClick={() => (tokenWanted.value = 'user')} title="Use an API token">Token</button>}
            <button class="quiet icon" onClick={() => setHelp(true)} title="Keyboard shortcuts (?)" aria-label="Keyboard shortcuts">?</button>
          </div>
        </div>
      </nav>
      <main id="main" tabIndex={-1}>
        {screen ? <screen.component /> : <Empty title="There is no such screen">See <a href="/topics">Topics</a>.</Empty>}
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
      {tokenWanted.value && <TokenDialog />}
    </div>
  );
}

const states: Record<Connection, string> = { connecting: 'Connecting', ready: 'Connected', live: 'Live', reconnecting: 'Reconnecting', offline: 'Offline' };

function Status({ state }: { state: Connection }) {
  return (
    <div class={`status ${state}`} role="status" data-testid="connection">
      <span class="dot" aria-hidden="true" />
      <span>{states[state]}</span>
      <span class="status-url" title={location.origin}>{location.host}</span>
    </div>
  );
}

function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl class="keys">
        {shortcuts.value.map((s) => (
          <div key={s.keys}>
            <dt>{s.keys.split(' ').map((k) => <kbd key={k}>{k}</kbd>)}</dt>
            <dd>{s.does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

function TokenDialog() {
  const [value, set] = useState('');
  const wanted = tokenWanted.value;
  return (
    <Dialog title={wanted === 'user' ? 'Use a token' : 'The server asks for a token'} onClose={() => (tokenWanted.value = null)}>
      <form class="stack" onSubmit={(e) => { e.preventDefault(); setToken(value.trim()); }}>
        {wanted && wanted !== 'user' && token.value && <ErrorPanel problem={wanted} />}
        <p class="muted">It is kept in this tab until it is closed.</p>
        <Field label="Token" hint={<>make one with <code>parley token NAME</code></>}>
          <input type="password" autocomplete="off" value={value} onInput={(e) => set(e.currentTarget.value)} autofocus />
        </Field>
        <div class="actions">
          {token.value && <button type="button" onClick={() => setToken('')}>Go on without</button>}
          <button class="primary" disabled={!value.trim()}>Use it</button>
        </div>
      </form>
    </Dialog>
  );
}
