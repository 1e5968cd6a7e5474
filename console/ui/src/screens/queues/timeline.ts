import { away, lasting, moment, type Job } from './model';

/** How a job that is gone ended, as its result tells. */
export interface End { state: 'done' | 'canceled' | 'unknown'; text?: string; media?: string; note?: string }

/** One step of a job's life. */
export interface Step {
  kind: 'enqueued' | 'forgotten' | 'attempt' | 'next' | 'dead' | 'end';
  tone: '' | 'good' | 'bad' | 'warn' | 'now';
  at: string; // a moment, in words
  title: string;
  details: string[];
  progress?: number;
}

// What the queue itself gives as a cause, for people.
const causes: Record<string, string> = {
  'lease expired': 'its lease ran out: the worker neither settled nor extended it in time',
  'owner changed': 'the queue moved to another node, and with it all leases ended',
  'caller went away': 'the worker was gone before it got the job',
};

/** A job's life so far, in order, and what comes next. */
export function timeline(job: Job, end: End | null, now: number, maxAttempts: number): Step[] {
  const steps: Step[] = [];
  const facts = [job.priority > 0 && `priority ${job.priority}`, job.key && `key ${job.key}`, job.unique && `unique ${job.unique}`].filter((x): x is string => !!x);
  steps.push({ kind: 'enqueued', tone: '', at: moment(job.enqueued, now), title: 'Enqueued', details: facts });
  const history = job.history ?? [];
  const first = history[0]?.number ?? 1;
  if (first > 1) steps.push({ kind: 'forgotten', tone: '', at: '', title: first === 2 ? 'Attempt 1 is not remembered' : `Attempts 1 to ${first - 1} are not remembered`, details: [] });
  for (const a of history) {
    const details: string[] = [];
    if (!a.ended && !end) {
      if (job.progress?.note) details.push(job.progress.note);
      steps.push({ kind: 'attempt', tone: 'now', at: moment(a.began, now), title: `Attempt ${a.number}${a.worker ? ` by ${a.worker}` : ''}, under way`, details: [...details, `its lease ends ${away(job.due, now)}`], progress: job.progress?.progress });
      continue;
    }
    const took = a.ended ? lasting(+new Date(a.ended) - +new Date(a.began)) : '';
    if (a.cause) details.push(causes[a.cause] ?? a.cause);
    const failed = !!a.cause || !!a.ended;
    steps.push({ kind: 'attempt', tone: failed ? 'bad' : end?.state === 'done' ? 'good' : '', at: moment(a.began, now), title: `Attempt ${a.number}${a.worker ? ` by ${a.worker}` : ''}${failed ? ` failed after ${took}` : ''}`, details });
  }
  if (end) {
    const seen = history.length > 0 && !history[history.length - 1]!.ended;
    return [...steps, ending(end.state === 'done' && !seen ? { ...end, note: [end.note, 'in an attempt that was over before this page looked'].filter(Boolean).join('; ') } : end)];
  }
  const most = job.max_attempts ?? maxAttempts;
  const of = most > 0 ? `${job.attempts} of ${most} attempts` : `${job.attempts} attempts, without limit`;
  if (job.state === 'delayed') steps.push({ kind: 'next', tone: 'warn', at: moment(job.due, now), title: job.attempts > 0 ? `Next try ${away(job.due, now)}` : `Rests; ready ${away(job.due, now)}`, details: job.attempts > 0 ? [of] : [] });
  if (job.state === 'ready') steps.push({ kind: 'next', tone: 'warn', at: '', title: 'Waits for a worker', details: job.attempts > 0 ? [of] : [] });
  if (job.state === 'dead') steps.push({ kind: 'dead', tone: 'bad', at: moment(job.died, now), title: `Dead after ${job.attempts} ${job.attempts === 1 ? 'attempt' : 'attempts'}`, details: job.reason && job.reason !== history[history.length - 1]?.cause ? [job.reason] : [] });
  return steps;
}

/** The last step of a job that is gone. */
export function ending(end: End): Step {
  const titles = { done: 'Done', canceled: 'Canceled', unknown: 'Gone' };
  return { kind: 'end', tone: end.state === 'done' ? 'good' : 'warn', at: '', title: titles[end.state], details: end.note ? [end.note] : [] };
}
