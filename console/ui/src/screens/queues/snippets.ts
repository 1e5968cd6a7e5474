import { token } from '../../api';
import { cli, goMain, goString, sh, ts, type Snippet } from '../../code';
import { queuePath, type Filter, type Settings, type State } from './model';

const url = (path: string) => location.origin + path;

/** A request as curl and fetch make it. */
interface Request { method?: string; path: string; headers?: Record<string, string>; body?: string }

function curl({ method, path, headers = {}, body }: Request, before = ''): string {
  const parts = [`${before}curl${token.value ? ' -H "Authorization: Bearer $TOKEN"' : ''}${method && !(method === 'POST' && body !== undefined) ? ` -X ${method}` : ''} ${sh(url(path))}`];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${sh(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push(body === '@-' ? '--data-binary @-' : `-d ${sh(body)}`);
  return parts.join(' \\\n  ');
}

function fetched({ method, path, headers = {}, body }: Request, then = ''): string {
  const head = [...Object.entries(headers).map(([k, v]) => `${ts(k)}: ${ts(v)}`), ...(token.value ? ['Authorization: `Bearer ${token}`'] : [])];
  const init = [method && `method: ${ts(method)}`, head.length && `headers: { ${head.join(', ')} }`, body !== undefined && `body: ${ts(body)}`].filter(Boolean);
  const call = `fetch(${ts(url(path))}${init.length ? `, {\n  ${init.join(',\n  ')},\n}` : ''})`;
  return then ? `const res = await ${call};\n${then}` : `await ${call};`;
}

const snippet = (r: Request, command: string, go: string, then = ''): Snippet => ({ cli: cli(command), curl: curl(r), go: goMain(go), ts: fetched(r, then) });

const json = { 'Content-Type': 'application/json' };
const queue = (name: string) => `c.Queue(${goString(name)})`;

export const listQueues = () => snippet({ path: '/v1/queues' }, 'parley queue list', 'queues, err := c.Queues(ctx)', 'const { queues } = await res.json();');

export const showQueue = (name: string) => snippet({ path: queuePath(name) }, `parley queue top ${sh(name)}`, `stats, err := ${queue(name)}.Stats(ctx)
if err != nil {
	return err
}
fmt.Println(stats.Ready, stats.Delayed, stats.Leased, stats.Dead, stats.Done)`, 'const { settings, paused, stats } = await res.json();');

export const listJobs = (name: string, state: State, after: string) => snippet(
  { path: `${queuePath(name, 'jobs')}?state=${state}&limit=50${after && `&after=${after}`}` },
  `parley queue list ${sh(name)} --state ${state} --limit 50${after && ` --after ${after}`}`,
  `jobs, err := ${queue(name)}.Peek(ctx, queue.PeekRequest{State: queue.${state[0]!.toUpperCase()}${state.slice(1)}, Max: 50${after && `, After: ${after}`}})`,
  'const { jobs, next } = await res.json();',
);

/** Looking at a job, and what can be done about it in its state. */
export function showJob(name: string, id: string, state: State | undefined): Snippet {
  const path = queuePath(name, 'jobs', id), q = queue(name);
  const show = snippet({ path }, `parley queue show ${sh(name)} ${id}`, `job, err := ${q}.Get(ctx, ${id})
if err != nil {
	return err
}
for _, attempt := range job.History {
	fmt.Println(attempt.Number, attempt.Worker, attempt.Cause)
}`, 'const job = await res.json(); // 404 when it is done: then see its /result');
  const more: [Request, string, string][] = [];
  if (state === 'ready' || state === 'delayed') more.push([{ method: 'POST', path: `${path}/reschedule`, headers: json, body: '{"delay":"10m"}' }, `parley queue reschedule ${sh(name)} ${id} --delay 10m`, `err = ${q}.Reschedule(ctx, ${id}, time.Now().Add(10*time.Minute))`]);
  if (state === 'dead') more.push([{ method: 'POST', path: queuePath(name, 'redrive'), headers: json, body: JSON.stringify({ ids: [id] }) }, `parley queue redrive ${sh(name)} --id ${id}`, `n, err := ${q}.Redrive(ctx, queue.Filter{IDs: []queue.ID{${id}}})`]);
  else if (state) more.push([{ method: 'DELETE', path }, `parley queue cancel ${sh(name)} ${id}`, `errs, err := ${q}.Cancel(ctx, ${id})`]);
  if (!state) more.push([{ path: `${path}/result` }, `parley queue result ${sh(name)} ${id}`, `outcome, err := ${q}.Result(ctx, ${id}, 0)`]);
  return {
    cli: [show.cli, ...more.map(([, command]) => cli(command))].join('\n'), curl: [show.curl, ...more.map(([r]) => curl(r))].join('\n\n'),
    go: [show.go, ...more.map(([, , go]) => go)].join('\n\n'), ts: [show.ts, ...more.map(([r]) => fetched(r))].join('\n\n'),
  };
}

export const putQueue = (name: string, change: Partial<Settings>) => {
  const r = change.retry;
  const flags = [
    change.max_attempts !== undefined && `--max-attempts ${change.max_attempts}`, change.visibility !== undefined && `--visibility ${change.visibility}`,
    change.concurrency !== undefined && `--concurrency ${change.concurrency}`, change.rate !== undefined && `--rate ${sh(change.rate)}`,
    change.dead_letter !== undefined && `--dead-letter ${sh(change.dead_letter)}`, change.results !== undefined && `--results ${sh(change.results)}`,
    ...(change.feed ?? []).map((f) => `--feed ${sh(f)}`),
    r && `--retry ${r.kind}`, r?.delay && `--retry-delay ${r.delay}`, r?.max && `--retry-max ${r.max}`, r?.delays && `--retry-delays ${r.delays.join(',')}`, r?.jitter !== undefined && `--retry-jitter ${r.jitter}`,
  ].filter(Boolean);
  const body = JSON.stringify(change);
  return snippet({ method: 'PUT', path: queuePath(name), headers: json, body }, ['parley queue set', sh(name), ...flags].join(' '), `info, err := ${queue(name)}.Change(ctx, json.RawMessage(${goString(body)}))`);
};

export const deleteQueue = (name: string) => snippet({ method: 'DELETE', path: queuePath(name) }, `parley queue delete ${sh(name)}`, `err = ${queue(name)}.Delete(ctx)`);

export const pauseQueue = (name: string, on: boolean) => {
  const word = on ? 'pause' : 'resume';
  return snippet({ method: 'POST', path: queuePath(name, word) }, `parley queue ${word} ${sh(name)}`, `err = ${queue(name)}.${on ? 'Pause' : 'Resume'}(ctx)`);
};

export const purgeQueue = (name: string, which: State[]) => snippet(
  { method: 'POST', path: queuePath(name, 'purge'), headers: json, body: JSON.stringify({ states: which }) },
  ['parley queue purge', sh(name), ...which.map((s) => `--state ${s}`)].join(' '),
  `n, err := ${queue(name)}.Purge(ctx, ${which.map((s) => `queue.${s[0]!.toUpperCase()}${s.slice(1)}`).join(', ')})`, 'const { purged } = await res.json();',
);

export const redrive = (name: string, f: Filter, body: Record<string, string>) => {
  const flags = [f.reason && `--reason ${sh(f.reason)}`, f.worker && `--worker ${sh(f.worker)}`, f.key && `--key ${sh(f.key)}`, f.since && `--since ${f.since}`].filter(Boolean);
  const members = [f.reason && `Reason: ${goString(f.reason)}`, f.worker && `Worker: ${goString(f.worker)}`, f.key && `Key: ${goString(f.key)}`, f.since && `Since: time.Now().Add(-${{ '10m': '10 * time.Minute', '1h': 'time.Hour', '24h': '24 * time.Hour' }[f.since]})`].filter(Boolean);
  return snippet({ method: 'POST', path: queuePath(name, 'redrive'), headers: json, body: JSON.stringify(body) }, ['parley queue redrive', sh(name), ...(flags.length ? flags : ['--all'])].join(' '), `n, err := ${queue(name)}.Redrive(ctx, queue.Filter{${members.join(', ')}})`, 'const { redriven } = await res.json();');
};

/** What the form for new jobs holds. */
export interface JobDraft { data: string; type: string; delay: string; priority: string; key: string; unique: string; max_attempts: string; times: string }

export const isJSON = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** A job as the API takes it; its data as it was typed. */
export function jobText(d: JobDraft): string {
  const data = isJSON(d.data) ? d.data.trim() : JSON.stringify(d.data);
  const media = isJSON(d.data) ? '' : `"datacontenttype":"text/plain; charset=utf-8",`;
  const event = d.type || media ? `"event":{${media}${d.type && `"type":${JSON.stringify(d.type)},`}"data":${data}}` : `"data":${data}`;
  const rest = [d.delay && `"delay":${JSON.stringify(d.delay)}`, d.priority && d.priority !== '0' && `"priority":${d.priority}`, d.key && `"key":${JSON.stringify(d.key)}`, d.unique && `"unique":${JSON.stringify(d.unique)}`, d.max_attempts && `"max_attempts":${d.max_attempts}`];
  return `{${[event, ...rest].filter(Boolean).join(',')}}`;
}

export const jobsType = { 'Content-Type': 'application/vnd.parley.jobs+json' };

export function enqueue(name: string, d: JobDraft): Snippet {
  const many = Number(d.times) > 1, n = many ? Number(d.times) : 1;
  const flags = [d.type && `--type ${sh(d.type)}`, d.delay && `--delay ${d.delay}`, d.priority && d.priority !== '0' && `--priority ${d.priority}`, d.key && `--key ${sh(d.key)}`, d.unique && `--unique ${sh(d.unique)}`, d.max_attempts && `--max-attempts ${d.max_attempts}`].filter(Boolean);
  const one: Request = { method: 'POST', path: queuePath(name, 'jobs'), headers: jobsType, body: `{"jobs": [${jobText(d)}]}` };
  const head = { 'Content-Type': isJSON(d.data) ? 'application/x-ndjson' : 'text/plain', ...(d.delay && { 'Parley-Delay': d.delay }), ...(d.priority && d.priority !== '0' && { 'Parley-Priority': d.priority }), ...(d.key && { 'Parley-Key': d.key }) } as Record<string, string>;
  const media = isJSON(d.data) ? 'application/json' : 'text/plain; charset=utf-8';
  const job = [`Event: parley.Event{${d.type && `Type: ${goString(d.type)}, `}DataContentType: ${goString(media)}, Data: []byte(${goString(d.data)})}`, d.delay && `Delay: delay`, d.priority && d.priority !== '0' && `Priority: ${d.priority}`, d.key && `Key: ${goString(d.key)}`, d.unique && `Unique: ${goString(d.unique)}`, d.max_attempts && `MaxAttempts: ${d.max_attempts}`].filter(Boolean).join(', ');
  return {
    cli: cli(many ? `yes ${sh(d.data.replaceAll('\n', ' '))} | head -n ${n} | parley queue push ${sh(name)} ${['-', isJSON(d.data) && '--ndjson', ...flags].filter(Boolean).join(' ')}` : ['parley queue push', sh(name), sh(d.data), ...flags].join(' ')),
    curl: many && isJSON(d.data) ? curl({ path: one.path, headers: head, body: '@-' }, `yes ${sh(d.data.replaceAll('\n', ' '))} | head -n ${Math.min(n, 10_000)} | `) : curl(one),
    go: goMain(`${d.delay ? `delay, err := time.ParseDuration(${goString(d.delay)})\nif err != nil {\n	return err\n}\n` : ''}${many ? `jobs := slices.Repeat([]queue.Job{{${job}}}, ${Math.min(n, 10_000)})\nadded, err := ${queue(name)}.Enqueue(ctx, jobs, queue.EnqueueOptions{})` : `added, err := ${queue(name)}.Enqueue(ctx, []queue.Job{{${job}}}, queue.EnqueueOptions{})`}`),
    ts: fetched(one, 'const { jobs } = await res.json();'),
  };
}

export const listSchedules = (name: string) => snippet({ path: queuePath(name, 'schedules') }, `parley queue schedule list ${sh(name)}`, `schedules, err := ${queue(name)}.Schedules(ctx)`, 'const { schedules } = await res.json();');

/** What the form for a schedule holds. */
export interface ScheduleDraft { name: string; cron: string; zone: string; missed: string; data: string; priority: string; unique: string }

export function putSchedule(name: string, d: ScheduleDraft, body: string): Snippet {
  const flags = [`--cron ${sh(d.cron)}`, d.zone && d.zone !== 'UTC' && `--zone ${d.zone}`, d.missed !== 'once' && `--missed ${d.missed}`, d.priority && d.priority !== '0' && `--priority ${d.priority}`, d.unique && `--unique ${sh(d.unique)}`].filter(Boolean);
  const schedule = d.name || 'NAME';
  return snippet(
    { method: 'PUT', path: queuePath(name, 'schedules', schedule), headers: json, body },
    ['parley queue schedule put', sh(name), sh(schedule), sh(d.data), ...flags].join(' '),
    `info, created, err := ${queue(name)}.PutSchedule(ctx, queue.Schedule{
	Name: ${goString(schedule)}, Cron: ${goString(d.cron)}, Zone: ${goString(d.zone)}, Missed: queue.Missed(${goString(d.missed)}),
	Job: queue.Job{Event: parley.Event{DataContentType: ${goString(isJSON(d.data) ? 'application/json' : 'text/plain; charset=utf-8')}, Data: []byte(${goString(d.data)})}${d.priority && d.priority !== '0' ? `, Priority: ${d.priority}` : ''}${d.unique && `, Unique: ${goString(d.unique)}`}},
})`,
  );
}

export const deleteSchedule = (name: string, schedule: string) => snippet({ method: 'DELETE', path: queuePath(name, 'schedules', schedule) }, `parley queue schedule delete ${sh(name)} ${sh(schedule)}`, `err = ${queue(name)}.DeleteSchedule(ctx, ${goString(schedule)})`);
