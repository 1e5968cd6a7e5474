import { useState } from 'preact/hooks';
import { json, problemOf, type Problem } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { ErrorPanel } from '../../ui';
import { filterBody, queuePath, type Filter } from './model';
import { redrive } from './snippets';

/** Makes dead jobs ready again: all, or those that fit. The list below shows which of its page do. */
export function Redrive({ queue, filter, onFilter, onDone }: { queue: string; filter: Filter; onFilter: (f: Filter) => void; onDone: () => void }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [said, say] = useState('');
  const [busy, setBusy] = useState(false);
  const any = Object.values(filter).some((v) => v !== '');
  const input = (member: 'reason' | 'worker' | 'key', label: string) => (
    <input class="mono" placeholder={label} aria-label={label} autocomplete="off" spellcheck={false} value={filter[member]} onInput={(e) => onFilter({ ...filter, [member]: e.currentTarget.value })} />
  );
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const { redriven } = await json<{ redriven: number }>(queuePath(queue, 'redrive'), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(filterBody(filter, Date.now())) });
      say(`${count(redriven)} ${redriven === 1 ? 'job is' : 'jobs are'} ready again`);
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
    }
    setBusy(false);
  };
  return (
    <form class="redrive" aria-label="Redrive" onSubmit={submit}>
      {input('reason', 'Reason contains')}
      {input('worker', 'Last worker')}
      {input('key', 'Key')}
      <select aria-label="When they died" value={filter.since} onChange={(e) => onFilter({ ...filter, since: e.currentTarget.value as Filter['since'] })}>
        <option value="">died at any time</option><option value="10m">in the last 10 minutes</option><option value="1h">in the last hour</option><option value="24h">in the last day</option>
      </select>
      <button class="primary" disabled={busy}>{any ? 'Redrive those that match' : 'Redrive all'}</button>
      <span class="good small" role="status" data-testid="redriven">{said}</span>
      {problem && <ErrorPanel problem={problem} onClose={() => setProblem(null)} />}
      <Code of={redrive(queue, filter, filterBody(filter, Math.floor(Date.now() / 60_000) * 60_000))} />
    </form>
  );
}
