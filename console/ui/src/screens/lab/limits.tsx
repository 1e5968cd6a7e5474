import { useMemo, useState } from 'preact/hooks';
import { cli, Code, goMain, goString, sh, type Snippet } from '../../code';
import { bytes, count, ms } from '../../format';
import { place } from '../../router';
import { Empty } from '../../ui';
import { tidy, type Definition } from '../limits/model';
import { overHTTP, RunForm, Trouble, useRun, whole, type Ask } from './form';
import { Gantt } from './gantt';
import { limitKind, type Call, type Experiment, type LimitFigures, type LimitRequest, type LimitRun, type Opening } from './limitrun';
import { Messages } from './messages';

const milliseconds = (text: string) => (text.endsWith('ms') ? parseFloat(text) : parseFloat(text) * 1000);

function requestIn(e: Experiment, query: URLSearchParams): LimitRequest {
  return { experiment: e.name, quota: whole(query, 'quota', e.name === 'club' ? 3 : 5), window: query.get('window') || '1s', seed: whole(query, 'seed', 1) };
}

const asks = (club: boolean): Ask<LimitRequest>[] => [
  { name: 'quota', label: club ? 'Places' : 'Quota', hint: '1 to 50' },
  { name: 'window', label: club ? 'A guest stays' : 'Window', hint: '200ms to 3s', text: true },
  { name: 'seed', label: 'Seed', hint: 'of the calls' },
];

/** One traffic through several limits at once: real requests, real refusals, real waiting. */
export function LimitLab({ experiment }: { experiment: Experiment }) {
  const request = requestIn(experiment, place.value.query);
  const lab = useRun<LimitRequest, Opening, Call, LimitFigures>(limitKind, request), run = lab.run;
  return (
    <>
      <p class="muted">{experiment.summary} {experiment.lanes.length > 1 ? 'The same calls go to every lane, each with a limit of its own on this server.' : 'Each guest opens a stream on this server, and closes it when it leaves.'}</p>
      <RunForm of={lab} request={request} asks={asks(experiment.name === 'club')} />
      <Trouble of={run} />
      {run?.opening.value ? <Result run={run} opening={run.opening.value} /> : !run?.problem.value && <Lanes experiment={experiment} />}
      <Code of={snippet(request, run?.opening.value?.limits[0])} />
    </>
  );
}

function Lanes({ experiment }: { experiment: Experiment }) {
  return (
    <Empty title="Nothing has run yet">
      <span class="lane-list">{experiment.lanes.map((l) => <span key={l.name}><strong>{l.title}</strong> {l.summary}</span>)}</span>
    </Empty>
  );
}

function Result({ run, opening }: { run: LimitRun; opening: Opening }) {
  const [now, setNow] = useState(Infinity);
  const calls = run.news.value, closing = run.closing.value, kind = opening.experiment, window = milliseconds(opening.request.window);
  const lanes = useMemo(() => kind.lanes.map((l) => [l.name, l.title] as [string, string]), [kind]);
  const last = Math.max(opening.schedule[opening.schedule.length - 1] ?? 0, ...calls.map((c) => c.left ?? c.done));
  const span = Math.max(last * 1.03, window * 1.5);
  return (
    <>
      {run.running.value && <p class="running" role="status"><span class="dot" aria-hidden="true" />{calls.length ? `${count(calls.length)} answers so far` : 'Waiting for the edge of a window'}</p>}
      <div class={kind.lanes.length > 1 ? 'gantts' : 'gantts one'}>
        {kind.lanes.map((l) => {
          const limit = opening.limits.find((x) => x.lane === l.name), figures = closing?.figures.find((f) => f.lane === l.name);
          return (
            <section key={l.name} class="panel" aria-label={l.title}>
              <header class="gantt-head">
                <h2>{l.title}</h2>
                {limit && <code class="muted">{kind.name === 'club' ? `${limit.algorithm} ` : ''}{tidy(limit.limit)}</code>}
                <span class="spring" />
                {figures && <Headline f={figures} kind={kind.name} quota={opening.request.quota} window={opening.request.window} />}
              </header>
              <p class="muted small gantt-about">{l.summary}</p>
              <Gantt
                title={l.title} calls={calls.filter((c) => c.lane === l.name)} callers={opening.schedule.length} span={span} window={window} now={now}
                edge={l.name === 'fixed-window' ? opening.edge : undefined} capacity={kind.name === 'club' ? opening.request.quota : undefined}
              />
            </section>
          );
        })}
      </div>
      <Legend kind={kind.name} />
      {closing && <FigureTable figures={closing.figures} titles={Object.fromEntries(lanes)} opening={opening} />}
      <Messages trace={run.trace.value} lanes={lanes} running={run.running.value} truncated={closing?.truncated ?? 0} now={now} onNow={setNow} />
    </>
  );
}

/** The one figure that tells a lane from its neighbours. */
function Headline({ f, kind, quota, window }: { f: LimitFigures; kind: string; quota: number; window: string }) {
  if (kind === 'club') return <strong class={f.inside > quota ? 'bad' : 'good'}>never more than {f.inside} inside</strong>;
  if (kind === 'manners') return <strong>{count(f.requests)} requests, all in after {ms(f.last)} ms</strong>;
  return <strong class={f.peak > quota ? 'warn' : 'good'}>{f.peak} in {window} at most</strong>;
}

function Legend({ kind }: { kind: string }) {
  return (
    <p class="legend muted small">
      {kind !== 'club' && <span><svg width="10" height="10" aria-hidden="true"><circle class="in" cx="5" cy="5" r="4" /></svg>let in</span>}
      {kind === 'club' && <span><svg width="22" height="10" aria-hidden="true"><rect class="inside" width="22" height="9" rx="2" /></svg>inside</span>}
      {kind !== 'club' && <span><svg width="10" height="10" aria-hidden="true"><path class="out" d="M1 1l8 8M9 1l-8 8" /></svg>refused</span>}
      <span><svg width="22" height="10" aria-hidden="true"><line class="wait" x1="0" x2="22" y1="5" y2="5" stroke-width="3" /></svg>in line</span>
      {kind === 'manners' && <span><svg width="22" height="10" aria-hidden="true"><line class="pause" x1="0" x2="22" y1="5" y2="5" /></svg>away, as Retry-After says</span>}
      {kind === 'strategies' && <span><svg width="10" height="10" aria-hidden="true"><line class="edge" x1="5" x2="5" y1="0" y2="10" /></svg>edge of a window</span>}
      <span>A row is a caller, in the order in which they came.</span>
    </p>
  );
}

type Column = { title: string; hint?: string; only?: string[]; value: (f: LimitFigures) => number; show: (n: number) => string };
const rounded = (n: number) => count(Math.round(n));
const columns: Column[] = [
  { title: 'Let in', value: (f) => f.admitted, show: rounded },
  { title: 'Refusals', value: (f) => f.refused, show: rounded },
  { title: 'Requests', value: (f) => f.requests, show: rounded },
  { title: 'In a window', hint: 'the most that were let in within any window, less the time of the slowest answer to which nobody had to wait', only: ['strategies', 'manners'], value: (f) => f.peak, show: rounded },
  { title: 'Most inside', only: ['club'], value: (f) => f.inside, show: rounded },
  { title: 'Wait p50, ms', hint: 'from the first request until it was let in', value: (f) => f.waited.p50, show: ms },
  { title: 'Wait max, ms', hint: 'from the first request until it was let in', value: (f) => f.waited.max, show: ms },
  { title: 'Last in, ms', value: (f) => f.last, show: ms },
  { title: 'Connections', value: (f) => f.connections, show: rounded },
  { title: 'Bytes up', hint: 'from client to server', value: (f) => f.bytes_in, show: bytes },
  { title: 'Bytes down', hint: 'from server to client', value: (f) => f.bytes_out, show: bytes },
];

function FigureTable({ figures, titles, opening }: { figures: LimitFigures[]; titles: Record<string, string>; opening: Opening }) {
  const shown = columns.filter((c) => !c.only || c.only.includes(opening.experiment.name));
  const most = shown.map((c) => Math.max(...figures.map(c.value), 0));
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Figures">
      <table class="grid figures tight" data-testid="figures">
        <thead><tr><th scope="col">Lane</th><th scope="col" class="num">Callers</th>{shown.map((c) => <th key={c.title} scope="col" class="num" title={c.hint}>{c.title}</th>)}</tr></thead>
        <tbody>
          {figures.map((f) => (
            <tr key={f.lane} data-lane={f.lane}>
              <th scope="row">{titles[f.lane]}</th>
              <td class="num">{count(f.calls)}</td>
              {shown.map((c, i) => (
                <td key={c.title} class="num" data-figure={c.title}>
                  {c.show(c.value(f))}
                  {figures.some((o) => c.value(o) !== most[i]) && <meter class="bar" min={0} max={most[i] || 1} value={c.value(f)} aria-hidden="true" />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted small note">Times are the clients': from sending a request to the head of its answer, on one machine. Bytes are TCP payload with HTTP heads.</p>
    </div>
  );
}

/** The run, and how to have such a limit without the lab. */
function snippet(r: LimitRequest, limit?: Definition): Snippet {
  const text = limit?.limit ?? `${r.quota}/${r.window}`, algorithm = limit?.algorithm ?? (r.experiment === 'club' ? 'concurrency' : 'fixed-window');
  const on = r.experiment === 'club' ? 'subscribe:orders' : 'publish:orders';
  return {
    ...overHTTP('/lab/limits', r, 'the opening, each part of calls and trace'),
    cli: [
      cli(`parley throttle put orders --limit ${sh(text)} --algorithm ${algorithm} --key everyone --on ${on}${limit?.action === 'shape' ? ' --shape 30s' : ''}`),
      ...(r.experiment === 'club' ? [] : ['', '# the same arithmetic without a server, in a time of its own', `parley throttle try ${sh(`${algorithm} ${text}`)} --calls 20 --every 50ms`]),
    ].join('\n'),
    go: goMain(`limit, err := c.PutLimit(ctx, "orders", client.LimitDefinition{
	Limit: ${goString(text)}, Algorithm: ${goString(algorithm)}, Key: "everyone", On: []string{${goString(on)}},${limit?.action === 'shape' ? '\n	Action: "shape", MaxWait: "30s",' : ''}
})`),
  };
}
