import { useState } from 'preact/hooks';
import { json, send } from '../../api';
import { Confirm } from '../../confirm';
import { count } from '../../format';
import { queuePath, type Queue, type State } from './model';
import { deleteQueue, pauseQueue, purgeQueue } from './snippets';

interface Props { queue: Queue; onClose: () => void; onDone: () => void }

export function PauseDialog({ queue, ...rest }: Props) {
  const on = !queue.paused;
  return (
    <Confirm title={on ? `Pause ${queue.name}?` : `Resume ${queue.name}?`} action={on ? 'Pause queue' : 'Resume queue'} of={pauseQueue(queue.name, on)} run={() => send(queuePath(queue.name, on ? 'pause' : 'resume'), { method: 'POST' })} {...rest}>
      <p>{on ? 'No job is leased until it is resumed. Jobs can still be added, and those that workers have go on.' : 'Workers that wait get jobs at once.'}</p>
    </Confirm>
  );
}

const removable: Exclude<State, 'leased'>[] = ['ready', 'delayed', 'dead'];

export function PurgeDialog({ queue, ...rest }: Props) {
  const [chosen, choose] = useState<State[]>(['dead']);
  const run = () => json(queuePath(queue.name, 'purge'), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ states: chosen }) });
  const n = chosen.reduce((sum, s) => sum + (queue.stats?.[s] ?? 0), 0);
  return (
    <Confirm title={`Purge ${queue.name}`} action={`Remove ${count(n)} ${n === 1 ? 'job' : 'jobs'}`} danger disabled={!chosen.length} of={purgeQueue(queue.name, chosen)} run={run} {...rest}>
      <p>Jobs of the chosen states are gone for good. Those that workers have stay.</p>
      <fieldset class="purge">
        <legend class="label">States</legend>
        {removable.map((s) => (
          <label key={s} class="check"><input type="checkbox" checked={chosen.includes(s)} onChange={(e) => choose(removable.filter((o) => (o === s ? e.currentTarget.checked : chosen.includes(o))))} />{s} <span class="muted">{count(queue.stats?.[s] ?? 0)}</span></label>
        ))}
      </fieldset>
    </Confirm>
  );
}

export function DeleteDialog({ queue, ...rest }: Props) {
  const s = queue.stats;
  const n = s ? s.ready + s.delayed + s.leased + s.dead : 0;
  return (
    <Confirm title={`Delete ${queue.name}?`} action="Delete queue" danger of={deleteQueue(queue.name)} run={() => send(queuePath(queue.name), { method: 'DELETE' })} {...rest}>
      <p>The queue goes with its {n === 1 ? 'job' : `${count(n)} jobs`}, schedules and settings. Workers that wait are told that it is not there. The topics of dead letters and results stay.</p>
    </Confirm>
  );
}
