import { count } from '../../format';
import { Empty } from '../../ui';
import { admitted, held, refused, type Key, type Limit } from './model';

/** A time from now, as people say it, rounded up. */
export function after(seconds: number): string {
  if (seconds <= 0) return 'now';
  if (seconds < 1) return `in ${Math.ceil(seconds * 1000 - 1e-9)} ms`;
  if (seconds < 10) return `in ${(Math.ceil(seconds * 10 - 1e-9) / 10).toFixed(1)} s`;
  if (seconds < 120) return `in ${Math.ceil(seconds)} s`;
  if (seconds < 7200) return `in ${Math.ceil(seconds / 60)} min`;
  return `in ${Math.ceil(seconds / 3600)} h`;
}

/** The busiest keys of a limit, and how they stand. */
export function KeyTable({ limit, keys, onPick }: { limit: Limit; keys: Key[]; onPick?: (key: string) => void }) {
  if (keys.length === 0) return <Empty title="Nobody has come yet">Keys appear here with the first request or check that is counted.</Empty>;
  const inside = held(limit);
  return (
    <>
      <div class="scroll-x bare" role="region" tabIndex={0} aria-label="Keys">
        <table class="grid dense keys-table" data-testid="keys">
          <thead>
            <tr>
              <th scope="col">Key</th><th scope="col">{inside ? 'Inside' : 'Spent'}</th>
              {!inside && <><th scope="col" class="num">Next unit</th><th scope="col" class="num">All free</th></>}
              <th scope="col" class="num">In line</th><th scope="col" class="num">Admitted</th><th scope="col" class="num">Refused</th>
            </tr>
          </thead>
          <tbody>
            {keys.map((k) => (
              <tr key={k.key}>
                <th scope="row"><Name of={k} onPick={onPick} /></th>
                <td><Spent of={k} shared={limit.shared} /></td>
                {!inside && <><td class="num">{after(k.reset)}</td><td class="num">{after(k.free)}</td></>}
                <td class="num">{count(k.waiting)}</td>
                <td class="num">{count(admitted(k.counts))}</td>
                <td class={refused(k.counts) ? 'num warn' : 'num'}>{count(refused(k.counts))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="muted small note">
        {!limit.shared && keys.length < limit.keys ? `${count(keys.length)} of ${count(limit.keys)} keys that are held. ` : ''}{limit.shared ? 'What is spent is counted for all servers together; decisions are this one\'s, since the key was noticed.' : 'Decisions about a key are counted since it was noticed. In a cluster each server counts by itself.'}
      </p>
    </>
  );
}

/** A key, with its parts told apart. Those of one part can be tried. */
function Name({ of, onPick }: { of: Key; onPick?: (key: string) => void }) {
  if (of.parts) {
    return <span class="mono">{of.parts.map((p, i) => <span key={i}>{i > 0 && <span class="muted"> + </span>}{p || <span class="muted">none</span>}</span>)}</span>;
  }
  const text = of.key === '' ? <span class="muted">everyone</span> : of.key;
  if (!onPick || of.key === '' || of.key.startsWith('sha256:')) return <span class="mono">{text}</span>;
  return <button class="link mono" title="try it with this key" onClick={() => onPick(of.key)}>{text}</button>;
}

function Spent({ of, shared }: { of: Key; shared?: boolean }) {
  if (of.spent === undefined || of.remaining === undefined) return <span class="muted">{shared ? 'not known now' : 'no limit'}</span>;
  const all = of.spent + of.remaining;
  return (
    <span class="spent">
      <meter class={of.remaining === 0 ? 'bar bad' : 'bar'} min={0} max={all || 1} value={of.spent} aria-hidden="true" />
      <span>{count(of.spent)} of {count(all)}</span>
    </span>
  );
}
