import { useEffect, useState } from 'preact/hooks';
import { json, problemOf, type Problem } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { Dialog, ErrorPanel, Field } from '../../ui';
import { LineEditor } from './lines';
import { pipePath, type Finding, type Mistake, type Pipe, type Report, type Verdict } from './model';
import { putPipe } from './snippets';

const rest = 300; // milliseconds that typing rests before the server is asked
const fresh = 'steps:\n  - topic: orders\n  - where: data.total > 100\n    name: big\n  - topic: big-orders\n';

const yaml = (text: string, signal?: AbortSignal): RequestInit => ({ method: 'POST', headers: { 'Content-Type': 'application/yaml' }, body: text, signal });

/** What the server says of a text, asked whenever typing rests. */
function useCheck(name: string, text: string) {
  const [report, setReport] = useState<Report | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    setReport(null);
    setProblem(null);
    if (!text.trim()) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const said = await json<Report>(pipePath(name, 'check'), yaml(text, abort.signal));
        if (!abort.signal.aborted) setReport(said);
      } catch (err) {
        if (!abort.signal.aborted) setProblem(problemOf(err));
      }
    }, rest);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [name, text]);
  return { report, problem };
}

/** Writes a definition, hears while writing what is wrong with it, and puts it; one that is refused leaves the old one running. */
export function EditDialog({ pipe, name: wanted, onClose, onDone }: { pipe?: Pipe; name?: string; onClose: () => void; onDone: (p: Pipe) => void }) {
  const [name, setName] = useState(pipe?.name ?? wanted ?? '');
  const [text, setText] = useState(pipe?.definition ?? fresh);
  const [at, moveTo] = useState<{ line: number } | null>(null);
  const [drain, setDrain] = useState(false);
  const [refusal, refuse] = useState<Problem | null>(null);
  const [verdicts, setVerdicts] = useState<Verdict[] | null>(null);
  const [busy, setBusy] = useState(false);
  const { report, problem } = useCheck(name.trim() || 'new', text);
  const marked = (report?.problems ?? []).flatMap((p) => p.line ?? []);
  useEffect(() => {
    refuse(null);
    setVerdicts(null);
  }, [text, name]);
  const attempt = async (what: () => Promise<void>) => {
    setBusy(true);
    refuse(null);
    try {
      await what();
    } catch (err) {
      refuse(problemOf(err));
    }
    setBusy(false);
  };
  const put = () => attempt(async () => {
    if (!pipe && (await exists(name.trim()))) {
      refuse({ status: 0, title: 'Already exists', detail: `there is a pipe ${name.trim()}`, field: 'name', fix: 'choose another name, or change that one on its page' });
      return;
    }
    const made = await json<Pipe>(pipePath(name.trim()) + (drain ? '?drain=true' : ''), { ...yaml(text), method: 'PUT' });
    onClose();
    onDone(made);
  });
  const test = () => attempt(async () => setVerdicts((await json<{ tests: Verdict[] }>(pipePath(name.trim() || 'new', 'test'), yaml(text))).tests));
  return (
    <Dialog title={pipe ? `Change ${pipe.name}` : 'New pipe'} onClose={onClose} wide>
      <form class="stack pipe-edit" onSubmit={(e) => { e.preventDefault(); void put(); }}>
        {!pipe && <Field label="Name" hint="small letters, digits, - and _"><input class="mono" required autofocus autocomplete="off" spellcheck={false} value={name} onInput={(e) => setName(e.currentTarget.value)} placeholder="big-orders" aria-invalid={refusal?.field === 'name' || refusal?.field === 'pipe'} /></Field>}
        <LineEditor value={text} marked={marked} at={at} invalid={marked.length > 0} onInput={setText} />
        {problem ? <ErrorPanel problem={problem} /> : <Said of={report} empty={!text.trim()} onLine={(line) => moveTo({ line })} />}
        {verdicts && <Verdicts of={verdicts} onLine={(line) => moveTo({ line })} />}
        {refusal && <ErrorPanel problem={refusal} />}
        {refusal && pipe && !pipe.stages && refusal.status > 0 && <p class="muted small" data-testid="kept">It runs on by revision {count(pipe.revision)}: nothing has changed.</p>}
        {pipe && (refusal?.status === 409 || drain) && <label class="check"><input type="checkbox" checked={drain} onChange={(e) => setDrain(e.currentTarget.checked)} />let out what the stages keep, and begin them anew</label>}
        <Code of={putPipe(name.trim() || 'NAME', text, drain)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          {/^tests:/m.test(text) && <button type="button" disabled={busy || !report?.ok} onClick={test}>Run its tests</button>}
          <button class="primary" disabled={busy || !name.trim() || !text.trim()}>Put</button>
        </div>
      </form>
    </Dialog>
  );
}

async function exists(name: string): Promise<boolean> {
  try {
    await json<Pipe>(pipePath(name));
    return true;
  } catch (err) {
    if (problemOf(err).status === 404) return false;
    throw err;
  }
}

function Line({ of, onLine }: { of: { line?: number }; onLine: (line: number) => void }) {
  return of.line ? <><button type="button" class="link" onClick={() => onLine(of.line!)}>line {of.line}</button>: </> : null;
}

/** What is wrong, or what looks like a mistake, or that nothing does. */
function Said({ of, empty, onLine }: { of: Report | null; empty: boolean; onLine: (line: number) => void }) {
  if (empty) return <p class="muted" role="status">Write what the pipe reads, does and writes.</p>;
  if (!of) return <p class="muted" role="status">Checking…</p>;
  const steps = of.steps?.length ?? 0;
  return (
    <div role="status" data-testid="said">
      {of.ok ? <p class="good"><strong>{of.stages ? 'These are stages for pipes, and they are in order.' : `It is in order: ${count(steps)} steps, with where failures go.`}</strong></p> : <p class="bad"><strong>{of.problems?.length === 1 ? 'One thing is wrong' : `${of.problems?.length} things are wrong`}; put, it would be refused.</strong></p>}
      <ul class="conflicts">
        {of.problems?.map((p: Mistake, i) => <li key={i}><Line of={p} onLine={onLine} />{p.field && <><code>{p.field}</code> </>}{p.detail}{p.fix && <span class="muted"> {p.fix}</span>}</li>)}
        {of.findings?.map((f: Finding, i) => <li key={i}><Line of={f} onLine={onLine} /><span class="warn">{f.what}</span><span class="muted"> {f.fix}</span></li>)}
      </ul>
    </div>
  );
}

function Verdicts({ of, onLine }: { of: Verdict[]; onLine: (line: number) => void }) {
  const failed = of.filter((v) => !v.passed).length;
  return (
    <div role="status" data-testid="verdicts">
      <p class={failed ? 'bad' : 'good'}><strong>{failed ? `${failed} of ${of.length} tests failed.` : of.length === 1 ? 'Its test passed.' : `All ${of.length} tests passed.`}</strong></p>
      <ul class="conflicts">{of.filter((v) => !v.passed).map((v, i) => <li key={i}><Line of={v} onLine={onLine} />{v.name}{v.wrong?.map((w, n) => <code key={n} class="below">{w}</code>)}</li>)}</ul>
    </div>
  );
}
