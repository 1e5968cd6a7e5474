import { useEffect, useState } from 'preact/hooks';
import { json, problemOf, send, type Problem } from '../../api';
import { cli, Code, sh } from '../../code';
import { Confirm } from '../../confirm';
import { bytes, count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, place, setQuery, to } from '../../router';
import { Copy, Empty, ErrorPanel, Tabs } from '../../ui';
import { ago } from '../groups/model';
import { EditDialog } from './edit';
import { Graph } from './graph';
import { Numbered } from './lines';
import { pipePath, stateOf, states, took, type Pipe, type Report, type Stats } from './model';
import { Parts } from './parts';
import { paces, sampled, type Sample } from './samples';
import { deletePipe, setPipe, showPipe } from './snippets';
import { StepTable } from './steps';
import { TapView } from './tapview';

/** The most steps that are drawn; of more there is the table. */
const drawn = 200;

type Verb = 'start' | 'pause' | 'stop';

/** What the pipe's own definition says of its steps: asked again when it is another. */
function useReport(pipe: Pipe | null) {
  const [report, setReport] = useState<Report | null>(null);
  useEffect(() => {
    if (!pipe) return;
    const abort = new AbortController();
    json<Report>(pipePath(pipe.name, 'check'), { method: 'POST', signal: abort.signal }).then(setReport, (err) => {
      if (!abort.signal.aborted) setReport({ ok: false, problems: [{ detail: problemOf(err).detail ?? problemOf(err).title }] });
    });
    return () => abort.abort();
  }, [pipe?.name, pipe?.revision]);
  return report;
}

/** One pipe: its graph with what passes each step, its definition, and what can be done about it. */
export function PipeScreen({ name }: { name: string }) {
  const { value: pipe, problem, look } = usePoll((signal) => json<Pipe>(pipePath(name), { signal }), 2000, [name]);
  const { value: stats, problem: silent, look: lookStats } = usePoll((signal) => (pipe && !pipe.stages ? json<Stats>(pipePath(name, 'stats'), { signal }) : Promise.resolve(null)), 1000, [name, !pipe, pipe?.stages, pipe?.state]);
  const [history, setHistory] = useState<Sample[]>([]);
  const [dialog, open] = useState<'' | 'edit' | 'stop' | 'delete'>('');
  const [refusal, refuse] = useState<Problem | null>(null);
  const report = useReport(pipe);
  useEffect(() => {
    if (stats) setHistory((all) => sampled(all, stats, Date.now()));
  }, [stats]);
  useKeys(() => [{ keys: 'e', does: 'change the definition', run: () => { if (pipe && !pipe.origin) open('edit'); } }], [!pipe]);
  const again = () => {
    look();
    lookStats();
  };
  const set = async (verb: Verb) => {
    refuse(null);
    try {
      await send(pipePath(name, verb), { method: 'POST' });
      again();
    } catch (err) {
      refuse(problemOf(err));
    }
  };
  if (problem?.status === 404) return <Missing name={name} onMade={look} />;
  const state = pipe && stateOf(pipe, stats);
  return (
    <div class="screen">
      <header class="screen-head">
        <Heading name={name} />
        {state && !pipe.stages && <span class="pipe-state" data-testid="state"><i class={`light is-${state}`} aria-hidden="true" />{states[state]}</span>}
        {pipe?.stages && <span class="tag">stages for pipes</span>}
        {pipe?.origin === 'file' && <span class="tag" title="it is changed in the server's files">file</span>}
        <span class="spring" />
        {pipe && !pipe.stages && <Verbs pipe={pipe} onSet={set} onStop={() => open('stop')} />}
        <button class="danger-quiet" disabled={!pipe} onClick={() => open('delete')}>Delete</button>
        <button class="primary" disabled={!pipe || !!pipe.origin} title={pipe?.origin ? "it is changed in the server's files" : 'e'} onClick={() => open('edit')}>Edit</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {refusal && <ErrorPanel problem={refusal} onClose={() => refuse(null)} />}
      {!pipe && !problem && <p class="muted pad" role="status">Loading…</p>}
      {pipe && <Present pipe={pipe} stats={stats} silent={silent} history={history} report={report} onEdit={() => open('edit')} />}
      <Code of={showPipe(name)} />
      {dialog === 'edit' && pipe && <EditDialog pipe={pipe} onClose={() => open('')} onDone={again} />}
      {dialog === 'stop' && (
        <Confirm title={`Stop ${name}?`} action="Stop pipe" danger of={setPipe(name, 'stop')} run={() => send(pipePath(name, 'stop'), { method: 'POST' })} onClose={() => open('')} onDone={again}>
          <p>It ends with what it has read. Its topics keep nothing for it meanwhile: started again, it goes on where it was, with what they have then. To have them keep it, pause it instead.</p>
        </Confirm>
      )}
      {dialog === 'delete' && (
        <Confirm title={`Delete ${name}?`} action={pipe?.stages ? 'Delete stages' : 'Delete pipe'} danger of={deletePipe(name)} run={() => send(pipePath(name), { method: 'DELETE' })} onClose={() => open('')} onDone={() => go(to(['pipes']))}>
          <p>Its definition, {pipe?.stages ? 'which no pipe may use any more, is' : 'what its stages keep and its place in its topics are'} gone. What it has published stays.</p>
        </Confirm>
      )}
    </div>
  );
}

function Heading({ name }: { name: string }) {
  return <h1><a href="/pipes" class="crumb">Pipes</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1>;
}

function Verbs({ pipe, onSet, onStop }: { pipe: Pipe; onSet: (verb: Verb) => void; onStop: () => void }) {
  return (
    <>
      {pipe.state === 'running' ? <button title={cli(`parley pipe pause ${sh(pipe.name)}`)} onClick={() => onSet('pause')}>Pause</button> : <button onClick={() => onSet('start')}>{pipe.state === 'paused' ? 'Resume' : 'Start'}</button>}
      {pipe.state !== 'stopped' && <button class="danger-quiet" onClick={onStop}>Stop</button>}
    </>
  );
}

function Missing({ name, onMade }: { name: string; onMade: () => void }) {
  const [creating, create] = useState(false);
  return (
    <div class="screen">
      <header class="screen-head"><Heading name={name} /></header>
      <Empty title={`There is no pipe ${name}`} command={cli(`parley pipe put ${sh(`${name}.yaml`)}`)}>It is made with its definition: by a command, or <button class="link" onClick={() => create(true)}>here</button>.</Empty>
      {creating && <EditDialog name={name} onClose={() => create(false)} onDone={(p) => (p.name === name ? onMade() : go(to(['pipes', p.name])))} />}
    </div>
  );
}

function Present({ pipe, stats, silent, history, report, onEdit }: { pipe: Pipe; stats: Stats | null; silent: Problem | null; history: Sample[]; report: Report | null; onEdit: () => void }) {
  const [view, setView] = useState<'graph' | 'table'>('graph');
  const now = paces(history), all = report?.steps ?? [], many = all.length > drawn, steps = many ? all.slice(0, drawn) : all;
  const chosen = place.value.query.get('step') ?? '', step = steps.find((s) => s.path === chosen);
  const choose = (path: string) => setQuery({ step: path === chosen ? '' : path }, true);
  return (
    <>
      <Trouble pipe={pipe} stats={stats} silent={silent} onEdit={onEdit} />
      {stats && <Facts pipe={pipe} stats={stats} />}
      {steps.length > 0 && (
        <section class="panel" aria-label="Steps">
          <div class="toolbar">
            {many ? <h2>The first {drawn} of {count(all.length)} steps</h2> : <Tabs label="View" tabs={[['graph', 'Graph'], ['table', 'Table']]} value={view} onChange={setView} />}
            <span class="spring" />
            <span class="muted small">{pipe.state === 'stopped' ? 'It does not run.' : 'Choose a step to see what passes it.'}</span>
          </div>
          {view === 'graph' && !many ? <Graph steps={steps} edges={report?.edges ?? []} stats={stats} paces={now} chosen={chosen} onChoose={choose} /> : <StepTable steps={steps} stats={stats} paces={now} onChoose={choose} />}
        </section>
      )}
      {stats?.partitions && stats.partitions.length > 0 && <Parts parts={stats.partitions} />}
      {step && <TapView key={step.path} pipe={pipe.name} step={step} onClose={() => setQuery({ step: '' }, true)} />}
      <section class="panel" aria-label="Definition">
        <div class="toolbar"><h2>Definition</h2><span class="muted small">revision {count(pipe.revision)}</span><span class="spring" /><Copy text={() => pipe.definition ?? ''} /></div>
        <Numbered text={pipe.definition ?? ''} marked={pipe.problems?.flatMap((p) => p.line ?? []) ?? []} />
      </section>
    </>
  );
}

/** What keeps the pipe, or its newest definition, from running. */
function Trouble({ pipe, stats, silent, onEdit }: { pipe: Pipe; stats: Stats | null; silent: Problem | null; onEdit: () => void }) {
  return (
    <>
      {silent && silent.status !== 401 && silent.status !== 404 && <ErrorPanel problem={silent} />}
      {pipe.problems && pipe.problems.length > 0 && (
        <div class="problem" role="alert">
          <strong>This node cannot run the definition</strong>
          <ul class="conflicts">{pipe.problems.map((p, i) => <li key={i}>{p.line ? `line ${p.line}: ` : ''}{p.detail}{p.fix && <span class="muted"> {p.fix}</span>}</li>)}</ul>
          {!pipe.origin && <button class="link" onClick={onEdit}>Change it</button>}
        </div>
      )}
      {stats?.refused && <div class="problem" role="alert"><strong>It runs by an older definition</strong><p>{stats.refused}</p></div>}
      {stats?.problem && <div class="problem" role="alert"><strong>{stats.state === 'failing' ? 'It cannot go on now, and tries again' : 'A source has trouble'}</strong><p>{stats.problem}</p></div>}
      {!!stats?.lost && <div class="problem" role="alert"><strong>Events were gone before it had read them</strong><p>{count(stats.lost)} times; retention of its topics is too short for it.</p></div>}
    </>
  );
}

function Facts({ pipe, stats: s }: { pipe: Pipe; stats: Stats }) {
  return (
    <dl class="facts">
      <div><dt>Read</dt><dd data-testid="in">{count(s.in)}</dd></div>
      <div><dt>Published</dt><dd data-testid="out">{count(s.out)}</dd></div>
      <div><dt>Dead</dt><dd class={s.dead ? 'bad' : ''} data-testid="dead">{count(s.dead)}</dd></div>
      <div><dt>Lag</dt><dd class={s.lag ? 'warn' : ''} data-testid="lag">{count(s.lag)}{s.more && '+'}</dd></div>
      {s.commits > 0 && <div><dt>Commits</dt><dd>{count(s.commits)}</dd></div>}
      {s.commit_us > 0 && <div><dt>The last took</dt><dd>{took(s.commit_us)}</dd></div>}
      {s.state_bytes > 0 && <div><dt>Stages keep</dt><dd>{bytes(s.state_bytes)}</dd></div>}
      {s.node && <div><dt>Runs on</dt><dd class="mono">{s.node}</dd></div>}
      {s.since && s.state !== 'stopped' && <div><dt>Counted since</dt><dd>{ago(s.since, Date.now())}</dd></div>}
      {pipe.uses && pipe.uses.length > 0 && <div><dt>Uses</dt><dd>{pipe.uses.map((u) => <a key={u} class="mono" href={to(['pipes', u.split('.')[0]!])}>{u} </a>)}</dd></div>}
    </dl>
  );
}
