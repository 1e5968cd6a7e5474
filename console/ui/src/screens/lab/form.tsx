import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { token } from '../../api';
import { sh, ts, type Snippet } from '../../code';
import { useKeys } from '../../keys';
import { place, setQuery } from '../../router';
import { ErrorPanel, Field } from '../../ui';
import { Run, type Kind } from './run';

/** A whole number of the address. */
export const whole = (query: URLSearchParams, name: string, otherwise: number) => {
  const text = query.get(name);
  return text && /^\d+$/.test(text) ? Number(text) : otherwise;
};

/** The run of a screen: one at a time, stopped when the screen goes, begun by a button or by r. */
export function useRun<Q extends object, O, N, F>(kind: Kind<N>, request: Q, ready = true) {
  const [run, setRun] = useState<Run<Q, O, N, F> | null>(null);
  useEffect(() => () => run?.stop(), [run]);
  const running = run?.running.value ?? false;
  const start = () => {
    if (running || !ready) return;
    const next = new Run<Q, O, N, F>(kind, request);
    setRun(next);
    void next.go();
  };
  useKeys(() => [{ keys: 'r', does: 'run', run: start }], [running, ready, place.value]);
  return { run, running, ready, start, stop: () => run?.stop() };
}

/** A member of the request, as it is asked for. */
export interface Ask<Q> { name: keyof Q & string; label: string; hint?: string; text?: boolean }

/** Asks what to run: what is typed is in the address. */
export function RunForm<Q extends object>({ of, request, asks, children }: { of: { running: boolean; ready: boolean; start: () => void; stop: () => void }; request: Q; asks: Ask<Q>[]; children?: ComponentChildren }) {
  return (
    <form class="controls" onSubmit={(e) => { e.preventDefault(); of.start(); }}>
      {children}
      {asks.map((a) => (
        <Field key={a.name} label={a.label} hint={a.hint}>
          <input class="mono w4" inputMode={a.text ? undefined : 'numeric'} value={String(request[a.name])} disabled={of.running} onChange={(e) => setQuery({ [a.name]: e.currentTarget.value.trim() }, true)} />
        </Field>
      ))}
      {!children && <span class="spring" />}
      {of.running ? <button type="button" onClick={of.stop}>Stop</button> : <button class="primary" disabled={!of.ready} title="r">Run</button>}
    </form>
  );
}

/** What has gone wrong with a run; that a token is missing is told elsewhere. */
export function Trouble({ of }: { of: { problem: Run<object, unknown, unknown, unknown>['problem'] } | null }) {
  const problem = of?.problem.value;
  return problem && problem.status !== 401 ? <ErrorPanel problem={problem} /> : null;
}

/** The run without the page. */
export function overHTTP(path: string, request: object, told: string): Pick<Snippet, 'curl' | 'ts'> {
  const body = JSON.stringify(request);
  return {
    curl: `curl -N${token.value ? ' -H "Authorization: Bearer $TOKEN"' : ''} ${location.origin}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d ${sh(body)}`,
    ts: `const res = await fetch(${ts(`${location.origin}${path}`)}, {
  method: "POST",
  headers: { "Content-Type": "application/json"${token.value ? ', Authorization: `Bearer ${token}`' : ''} },
  body: ${ts(body)},
});
// a line of JSON for ${told}, and the figures
const lines = (await res.text()).trim().split("\\n").map((l) => JSON.parse(l));`,
  };
}
