import { useState } from 'preact/hooks';
import { problemOf, token, type Problem } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { to } from '../../router';
import { ErrorPanel, Field } from '../../ui';
import { after } from './keys';
import { held, limitPath, type Limit } from './model';
import { checkLimit } from './snippets';

/** What came back: the head and the body as they were. */
interface Answer { n: number; status: number; head: [string, string][]; body: string; took: number }
interface Verdict { allowed: boolean; remaining?: number; reset: number }

const heads = ['Content-Type', 'Retry-After', 'RateLimit', 'RateLimit-Policy'];
const kept = 40;

/** Asks the limit as a program would, and shows what it would be answered at the door. */
async function check(name: string, body: string, n: number): Promise<Answer> {
  const began = performance.now();
  const headers: Record<string, string> = { 'Content-Type': 'application/json', ...(token.value ? { Authorization: `Bearer ${token.value}` } : {}) };
  const res = await fetch(`${limitPath(name, 'check')}?refuse=true`, { method: 'POST', headers, body });
  const text = await res.text();
  return {
    n, status: res.status, took: performance.now() - began, body: text,
    head: heads.flatMap((h) => (res.headers.has(h) ? [[h, res.headers.get(h)!] as [string, string]] : [])),
  };
}

export function Try({ limit, userKey, onKey, onDone }: { limit: Limit; userKey: string; onKey: (key: string) => void; onDone: () => void }) {
  const [cost, setCost] = useState('1');
  const [peek, setPeek] = useState(false);
  const [answers, setAnswers] = useState<Answer[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const units = /^\d+$/.test(cost) ? Number(cost) : NaN;
  const ask = async (times: number) => {
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      let all = answers;
      const body = JSON.stringify({ key: userKey, cost: units, ...(peek ? { peek } : {}) });
      for (let i = 0; i < times; i++) {
        const one = await check(limit.name, body, (all[all.length - 1]?.n ?? 0) + 1);
        all = [...all, one].slice(-kept);
        setAnswers(all);
      }
    } catch (err) {
      setProblem(problemOf(err));
    }
    setBusy(false);
    onDone();
  };
  if (held(limit)) {
    return (
      <section class="panel try" aria-label="Try it">
        <h2>Try it</h2>
        <p class="muted">Places inside belong to requests: who only asked for one, and crashed, would never leave again. See the <a href={to(['lab'], { show: 'club' })}>nightclub in the Lab</a>.</p>
      </section>
    );
  }
  const last = answers[answers.length - 1];
  return (
    <section class="panel try" aria-label="Try it">
      <h2>Try it</h2>
      <form class="stack" onSubmit={(e) => { e.preventDefault(); void ask(1); }}>
        <div class="try-fields">
          <Field label="Key" grow><input class="mono" autocomplete="off" spellcheck={false} value={userKey} onInput={(e) => onKey(e.currentTarget.value)} /></Field>
          <Field label="Cost"><input class="mono w4" inputMode="numeric" aria-invalid={isNaN(units)} value={cost} onInput={(e) => setCost(e.currentTarget.value.trim())} /></Field>
        </div>
        <div class="actions">
          <label class="check"><input type="checkbox" checked={peek} onChange={(e) => setPeek(e.currentTarget.checked)} />only look</label>
          <span class="spring" />
          <button type="button" disabled={busy || isNaN(units)} onClick={() => void ask(10)}>10 times</button>
          <button class="primary" disabled={busy || isNaN(units)}>Check</button>
        </div>
      </form>
      {problem && <ErrorPanel problem={problem} />}
      {last && <Answers all={answers} last={last} />}
      <Code of={checkLimit(limit.name, userKey, isNaN(units) ? 1 : units, peek)} />
    </section>
  );
}

const admitted = (a: Answer) => a.status === 200;

function Answers({ all, last }: { all: Answer[]; last: Answer }) {
  return (
    <>
      <ol class="answers" aria-label="Answers, the newest last">
        {all.map((a) => <li key={a.n} class={admitted(a) ? 'good' : 'bad'} title={`check ${a.n}: ${a.status}`}><span class="hidden">{admitted(a) ? 'admitted' : `refused with ${a.status}`}</span></li>)}
      </ol>
      <p class={admitted(last) ? 'good' : 'bad'} role="status" data-testid="verdict"><strong>{verdict(last)}</strong></p>
      <figure class="wire" tabIndex={0} aria-label="The answer">
        <pre>
          <span class="status-line">HTTP/1.1 {last.status} {reasons[last.status] ?? ''}</span>{'\n'}
          {last.head.map(([k, v]) => <span key={k}><span class="j-key">{k}</span>: {v}{'\n'}</span>)}
          {'\n'}{pretty(last.body)}
        </pre>
      </figure>
    </>
  );
}

const reasons: Record<number, string> = { 200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 413: 'Content Too Large', 422: 'Unprocessable Content', 429: 'Too Many Requests', 503: 'Service Unavailable' };

function verdict(a: Answer): string {
  try {
    if (admitted(a)) {
      const v = JSON.parse(a.body) as Verdict;
      const left = v.remaining === undefined ? 'without limit' : `${count(v.remaining)} left`;
      return `Admitted, ${left}${v.reset > 0 ? `, one more ${after(v.reset)}` : ''}`;
    }
    const retry = a.head.find(([k]) => k === 'Retry-After')?.[1];
    return retry ? `Refused: come back in ${retry} s` : 'Refused: waiting does not help';
  } catch {
    return `Status ${a.status}`;
  }
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
