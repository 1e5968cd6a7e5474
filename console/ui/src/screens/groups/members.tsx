import { useState, useEffect } from 'preact/hooks';
import { count } from '../../format';
import { Empty } from '../../ui';
import { ago, colorOf, nameOf, type Group } from './model';
import { joinCommand } from './snippets';

/** The most rows that are drawn. */
const rows = 100;

export function Members({ group }: { group: Group }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => setNow(Date.now()), [group]);
  const lags = new Map<string, number>();
  for (const p of group.partitions) if (p.member) lags.set(p.member, (lags.get(p.member) ?? 0) + (p.lag ?? NaN));
  return (
    <section class="panel" aria-label="Members">
      <div class="toolbar"><h2>Members</h2><span class="muted small">{count(group.members.length)}</span></div>
      {group.members.length === 0 && <Empty title="Nobody reads" command={joinCommand(group.name, group.partitions[0]?.topic)}>The group keeps its places: whoever joins goes on from there.</Empty>}
      {group.members.length > 0 && (
        <div class="scroll-x bare" role="region" tabIndex={0} aria-label="Table of members">
          <table class="grid dense" data-testid="members">
            <thead><tr><th scope="col">Member</th><th scope="col">Wants</th><th scope="col" class="num">Partitions</th><th scope="col" class="num">Lag</th><th scope="col" class="num">Joined</th><th scope="col" class="num">Heard of</th></tr></thead>
            <tbody>
              {group.members.slice(0, rows).map((m) => {
                const lag = lags.get(m.member) ?? 0;
                return (
                  <tr key={m.member}>
                    <th scope="row" class="mono" title={m.member}><i class={`swatch ${colorOf(group.members, m.member)}`} aria-hidden="true" />{nameOf(m)}</th>
                    <td class="mono">{m.topics.join(' ')}</td>
                    <td class="num">{count(m.assigned.length)}</td>
                    <td class="num">{isNaN(lag) ? <span class="muted">not known</span> : count(lag)}</td>
                    <td class="num">{ago(m.joined, now)}</td>
                    <td class="num">{ago(m.last_seen, now)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {group.members.length > rows && <p class="muted small note">The first {rows} of {count(group.members.length)} members.</p>}
    </section>
  );
}
