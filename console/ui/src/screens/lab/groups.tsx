import { useMemo, useState } from 'preact/hooks';
import { Code, type Snippet } from '../../code';
import { bytes, count, ms } from '../../format';
import { place } from '../../router';
import { Empty } from '../../ui';
import { seekGroup } from '../groups/snippets';
import { overHTTP, RunForm, Trouble, useRun, whole, type Ask } from './form';
import { groupKind, type Act, type GroupFigures, type GroupRun, type GroupsOpening, type GroupsRequest, type Reader } from './grouprun';
import { Messages } from './messages';
import { Stairs } from './stairs';


const requestIn = (query: URLSearchParams): GroupsRequest => ({ events: whole(query, 'events', 40), duration: query.get('duration') || '4s', partitions: whole(query, 'partitions', 2), seed: whole(query, 'seed', 1) });

const asks: Ask<GroupsRequest>[] = [
  { name: 'events', label: 'Events', hint: '1 to 500' },
  { name: 'duration', label: 'Within', hint: '500ms to 20s', text: true },
  { name: 'partitions', label: 'Partitions', hint: '1 to 8' },
  { name: 'seed', label: 'Seed', hint: 'of the schedule' },
];

/** One topic, read by groups and by a subscriber. */
export function GroupLab({ readers }: { readers: Reader[] }) {
  const request = requestIn(place.value.query);
  const lab = useRun<GroupsRequest, GroupsOpening, Act, GroupFigures>(groupKind, request), run = lab.run;
  return (
    <>
      <p class="muted">One topic, four readers: each group has places of its own in the same log, and can go back in it; a subscriber gets what happens while it is there.</p>
      <RunForm of={lab} request={request} asks={asks} />
      <Trouble of={run} />
      {run?.opening.value ? <Result run={run} opening={run.opening.value} /> : !run?.problem.value && (
        <Empty title="Nothing has run yet"><span class="lane-list">{readers.map((r) => <span key={r.name}><strong>{r.title}</strong> {r.summary}</span>)}</span></Empty>
      )}
      <Code of={snippet(request)} />
    </>
  );
}

function Result({ run, opening }: { run: GroupRun; opening: GroupsOpening }) {
  const [now, setNow] = useState(Infinity);
  const acts = run.news.value, closing = run.closing.value;
  const lanes = useMemo(() => [['publisher', 'Publisher'], ...opening.readers.map((r) => [r.name, r.title])] as [string, string][], [opening]);
  const span = Math.max(...opening.schedule, ...acts.map((a) => a.at)) * 1.04;
  return (
    <>
      {run.running.value && <p class="running" role="status"><span class="dot" aria-hidden="true" />{count(acts.filter((a) => a.kind === 'published').length)} of {count(opening.schedule.length)} events are published</p>}
      <div class="gantts">
        {opening.readers.map((r) => {
          const figures = closing?.figures.find((f) => f.lane === r.name);
          return (
            <section key={r.name} class="panel" aria-label={r.title}>
              <header class="gantt-head"><h2>{r.title}</h2><span class="spring" />{figures && <Headline f={figures} reader={r} />}</header>
              <p class="muted small gantt-about">{r.summary}</p>
              <Stairs reader={r} acts={acts.filter((a) => a.lane === r.name || a.lane === 'publisher')} events={opening.schedule.length} span={span} now={now} />
            </section>
          );
        })}
      </div>
      <p class="legend muted small">
        <span><svg width="22" height="10" aria-hidden="true"><path class="log" d="M0 9H8V5H16V1H22V10H0Z" /></svg>the log as it grows</span>
        <span><svg width="10" height="10" aria-hidden="true"><circle class="read" cx="5" cy="5" r="3.5" /></svg>read</span>
        <span><svg width="10" height="10" aria-hidden="true"><circle class="again" cx="5" cy="5" r="3.5" /></svg>read after going back</span>
        <span><svg width="22" height="10" aria-hidden="true"><rect class="never" width="22" height="10" /></svg>never gets it</span>
        <span>Time goes to the right, events upwards.</span>
      </p>
      {closing && <FigureTable figures={closing.figures} titles={Object.fromEntries(lanes)} />}
      <Messages trace={run.trace.value} lanes={lanes} running={run.running.value} truncated={closing?.truncated ?? 0} now={now} onNow={setNow} />
    </>
  );
}

/** The one thing that tells a lane from its neighbours. */
function Headline({ f, reader }: { f: GroupFigures; reader: Reader }) {
  if (reader.live) return <strong class={f.missing ? 'warn' : 'good'}>{f.missing ? `${count(f.missing)} were before it` : 'nothing was before it'}</strong>;
  if (!f.ordered || f.missing) return <strong class="bad">{f.missing ? `${count(f.missing)} are missing` : 'out of order'}</strong>;
  if (reader.back) return <strong class="good">{count(f.again)} again, in the same order</strong>;
  if (reader.late) return <strong class="good">all, after {ms(f.caught_up)} ms</strong>;
  return <strong class="good">all, in order</strong>;
}

type Column = { title: string; hint?: string; show: (f: GroupFigures) => string };
const columns: Column[] = [
  { title: 'Read', show: (f) => count(f.events) },
  { title: 'Missing', hint: 'published and never read', show: (f) => count(f.missing) },
  { title: 'Again', hint: 'read twice, since it went back', show: (f) => count(f.again) },
  { title: 'Order', hint: 'in each partition, with none left out between the first and the last', show: (f) => (f.ordered ? 'kept' : 'broken') },
  { title: 'Caught up, ms', hint: 'until it had read all that was there when it came, or went back', show: (f) => (f.caught_up < 0 ? '' : ms(f.caught_up)) },
  { title: 'p50, ms', hint: 'from publishing to reading, of what was published while it was there', show: (f) => ms(f.latency.p50) },
  { title: 'p99, ms', hint: 'from publishing to reading, of what was published while it was there', show: (f) => ms(f.latency.p99) },
  { title: 'Requests', show: (f) => count(f.requests) },
  { title: 'Bytes up', hint: 'from client to server', show: (f) => bytes(f.bytes_in) },
  { title: 'Bytes down', hint: 'from server to client', show: (f) => bytes(f.bytes_out) },
];

function FigureTable({ figures, titles }: { figures: GroupFigures[]; titles: Record<string, string> }) {
  return (
    <div class="scroll-x" role="region" tabIndex={0} aria-label="Figures">
      <table class="grid figures tight" data-testid="figures">
        <thead><tr><th scope="col">Reader</th>{columns.map((c) => <th key={c.title} scope="col" class="num" title={c.hint}>{c.title}</th>)}</tr></thead>
        <tbody>
          {figures.map((f) => (
            <tr key={f.lane} data-lane={f.lane}><th scope="row">{titles[f.lane]}</th>{columns.map((c) => <td key={c.title} class="num" data-figure={c.title}>{c.show(f)}</td>)}</tr>
          ))}
        </tbody>
      </table>
      <p class="muted small note">Times are the clients', on one machine. Groups read by long polls and commit after each answer; the subscriber reads server-sent events. Bytes are TCP payload with HTTP heads.</p>
    </div>
  );
}

/** The run, and how a group goes back without the lab. */
function snippet(r: GroupsRequest): Snippet {
  const seek = seekGroup('billing', { to: 'earliest' });
  return { ...overHTTP('/lab/groups', r, 'the opening, each part of acts and trace'), cli: seek.cli, go: seek.go };
}
