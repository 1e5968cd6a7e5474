import { useState } from 'preact/hooks';
import { json, problemOf, send, type Problem } from '../../api';
import { cli, Code, sh } from '../../code';
import { usePoll } from '../../poll';
import { Dialog, Empty, ErrorPanel, Field } from '../../ui';
import { members } from '../topics/rawjson';
import { away, moment, preview, queuePath, schedulesOf, type Job, type Schedule } from './model';
import { deleteSchedule, isJSON, listSchedules, putSchedule, type ScheduleDraft } from './snippets';

const put = (queue: string, name: string, body: string) => json<unknown>(queuePath(queue, 'schedules', name), { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body });

/** A schedule as the API takes it, with its job as it is written. */
export const bodyOf = (s: Pick<Schedule, 'cron' | 'zone' | 'missed' | 'paused' | 'job'>) =>
  `{"cron":${JSON.stringify(s.cron)},"zone":${JSON.stringify(s.zone)},"missed":${JSON.stringify(s.missed)},${s.paused ? '"paused":true,' : ''}"job":${s.job}}`;

/** What comes again and again. */
export function Schedules({ queue }: { queue: string }) {
  const { value, problem, look } = usePoll(async (signal) => schedulesOf(await (await send(queuePath(queue, 'schedules'), { signal })).text()), 1000, [queue]);
  const [failed, fail] = useState<Problem | null>(null);
  const [editing, edit] = useState<Schedule | 'new' | null>(null);
  const [removing, remove] = useState<Schedule | null>(null);
  const now = Date.now();
  const pause = async (s: Schedule) => {
    fail(null);
    try {
      await put(queue, s.name, bodyOf({ ...s, paused: !s.paused }));
    } catch (err) {
      fail(problemOf(err));
    }
    look();
  };
  const trouble = failed ?? problem;
  return (
    <>
      {trouble && trouble.status !== 401 && <ErrorPanel problem={trouble} />}
      <div class="list">
        {!value && !problem && <p class="muted pad" role="status">Loading…</p>}
        {value?.length === 0 && <Empty title="No schedule" command={cli(`parley queue schedule put ${sh(queue)} nightly '{"kind": "report"}' --cron '0 2 * * *' --zone Europe/Berlin`)}>A schedule adds a job at each time that a cron expression names: one job for each, also across crashes.</Empty>}
        {value && value.length > 0 && (
          <div class="scroll-x bare" role="region" tabIndex={0} aria-label="Schedules">
            <table class="grid dense" data-testid="schedules">
              <thead><tr><th scope="col">Schedule</th><th scope="col">When</th><th scope="col">Next</th><th scope="col">Last</th><th scope="col">Missed</th><th scope="col">Data</th><th scope="col">Actions</th></tr></thead>
              <tbody>
                {value.map((s) => (
                  <tr key={s.name}>
                    <th scope="row" class="mono">{s.name}</th>
                    <td><span class="mono">{s.cron}</span> <span class="muted small">{s.zone}</span></td>
                    <td title={moment(s.next, now)}>{s.error ? <span class="bad">{s.error}</span> : s.paused ? <span class="warn">paused</span> : away(s.next, now)}</td>
                    <td title={moment(s.last, now)}>{away(s.last, now)}</td>
                    <td>{s.missed}</td>
                    <td class="mono cut">{preview({ event: members(s.job).get('event') ?? `{"data":${members(s.job).get('data') ?? '""'}}` } as Job)}</td>
                    <td><button class="quiet" onClick={() => pause(s)}>{s.paused ? 'Resume' : 'Pause'}</button><button class="quiet" onClick={() => edit(s)}>Change</button><button class="danger-quiet" onClick={() => remove(s)}>Delete</button></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      <footer class="list-foot"><span class="spring" /><button class="quiet" onClick={() => edit('new')}>New schedule</button></footer>
      <Code of={listSchedules(queue)} />
      {editing && <ScheduleDialog queue={queue} schedule={editing === 'new' ? undefined : editing} onClose={() => edit(null)} onDone={look} />}
      {removing && <DeleteDialog queue={queue} schedule={removing.name} onClose={() => remove(null)} onDone={look} />}
    </>
  );
}

/** The job with other data, priority and unique; whatever else it has stays. */
export function jobWith(job: string, d: ScheduleDraft): string {
  const all = members(job), event = members(all.get('event') ?? '{}');
  all.delete('data');
  event.delete('data_base64');
  event.set('data', isJSON(d.data) ? d.data.trim() : JSON.stringify(d.data));
  if (!event.has('datacontenttype') || isJSON(d.data) !== /json/.test(event.get('datacontenttype')!)) event.set('datacontenttype', isJSON(d.data) ? '"application/json"' : '"text/plain; charset=utf-8"');
  const text = (m: Map<string, string>) => `{${[...m].map(([k, v]) => `${JSON.stringify(k)}:${v}`).join(',')}}`;
  all.set('event', text(event));
  if (d.priority && d.priority !== '0') all.set('priority', d.priority);
  else all.delete('priority');
  if (d.unique) all.set('unique', JSON.stringify(d.unique));
  else all.delete('unique');
  return text(all);
}

function draftOf(s?: Schedule): ScheduleDraft {
  if (!s) return { name: '', cron: '0 2 * * *', zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC', missed: 'once', data: '{"kind": "report"}', priority: '0', unique: '' };
  const job = members(s.job), event = members(job.get('event') ?? '{}');
  const data = event.get('data') ?? job.get('data') ?? '', media = event.get('datacontenttype') ?? '"application/json"';
  return { name: s.name, cron: s.cron, zone: s.zone, missed: s.missed, data: /json/.test(media) ? data : String(JSON.parse(data || '""')), priority: job.get('priority') ?? '0', unique: JSON.parse(job.get('unique') ?? '""') as string };
}

const missed: Record<string, string> = { skip: 'what passed while no server ran is forgotten', once: 'one job for all that was missed', all: 'a job for each, up to 100' };

function ScheduleDialog({ queue, schedule, onClose, onDone }: { queue: string; schedule?: Schedule; onClose: () => void; onDone: () => void }) {
  const [draft, setDraft] = useState(() => draftOf(schedule));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const body = bodyOf({ cron: draft.cron.trim(), zone: draft.zone.trim(), missed: draft.missed as Schedule['missed'], paused: schedule?.paused, job: jobWith(schedule?.job ?? '{}', draft) });
  const input = (member: keyof ScheduleDraft) => ({
    value: draft[member], 'aria-invalid': problem?.field === member, spellcheck: false, autocomplete: 'off',
    onInput: (e: { currentTarget: { value: string } }) => setDraft({ ...draft, [member]: e.currentTarget.value }),
  });
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await put(queue, draft.name.trim(), body);
      onClose();
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
      setBusy(false);
    }
  };
  return (
    <Dialog title={schedule ? `Change ${schedule.name}` : 'New schedule'} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        {!schedule && <Field label="Name"><input class="mono" required autofocus placeholder="nightly" {...input('name')} /></Field>}
        <div class="fields">
          <Field label="Cron" hint="minute hour day month weekday; seconds before them if six; or @daily"><input class="mono" required {...input('cron')} /></Field>
          <Field label="Zone" hint="whose clocks, such as Europe/Berlin"><input class="mono" required {...input('zone')} /></Field>
          <Field label="Missed" hint={missed[draft.missed]}><select {...input('missed')}>{Object.keys(missed).map((m) => <option key={m}>{m}</option>)}</select></Field>
          <Field label="Priority" hint="0 to 9"><input class="mono" inputMode="numeric" {...input('priority')} /></Field>
          <Field label="Unique" hint="dropped while the one before is not done"><input class="mono" placeholder="none" {...input('unique')} /></Field>
        </div>
        <Field label="Data" hint={isJSON(draft.data) ? 'JSON' : 'text'}><textarea class="mono" rows={3} {...input('data')} /></Field>
        {problem && <ErrorPanel problem={problem} />}
        <Code of={putSchedule(queue, draft, body)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={busy || !draft.name.trim()}>{schedule ? 'Save' : 'Create'}</button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ queue, schedule, onClose, onDone }: { queue: string; schedule: string; onClose: () => void; onDone: () => void }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (e: Event) => {
    e.preventDefault();
    try {
      await send(queuePath(queue, 'schedules', schedule), { method: 'DELETE' });
      onClose();
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
    }
  };
  return (
    <Dialog title={`Delete ${schedule}?`} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p>It adds no more jobs. Those that it has added stay.</p>
        {problem && <ErrorPanel problem={problem} />}
        <Code of={deleteSchedule(queue, schedule)} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="danger">Delete schedule</button></div>
      </form>
    </Dialog>
  );
}
