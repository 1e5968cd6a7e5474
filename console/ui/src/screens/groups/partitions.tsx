import { count } from '../../format';
import { to } from '../../router';
import { ago, colorOf, keyOf, nameOf, shares, type Earliest, type Group, type Partition, type Place } from './model';

/** The most rows that are drawn. */
const rows = 256;

/** Each partition as a bar: worked off in the color of its reader, then what is left. */
export function Partitions({ group, earliest, onSeek }: { group: Group; earliest: Earliest; onSeek: (at: Place) => void }) {
  const now = Date.now();
  return (
    <section class="panel" aria-label="Partitions">
      <div class="toolbar">
        <h2>Partitions</h2>
        <span class="muted small">{count(group.partitions.length)}</span>
        <span class="spring" />
        <span class="legend muted small">
          <span><i class="swatch owner-0" aria-hidden="true" />worked off, in the color of its reader</span>
          <span><i class="swatch behind" aria-hidden="true" />not yet</span>
        </span>
      </div>
      <div class="scroll-x bare" role="region" tabIndex={0} aria-label="Table of partitions">
        <table class="grid dense partitions" data-testid="partitions">
          <thead>
            <tr>
              <th scope="col">Partition</th><th scope="col" class="wide">How far</th><th scope="col" class="num">Committed</th><th scope="col" class="num">End</th>
              <th scope="col" class="num">Lag</th><th scope="col">Read by</th><th scope="col" class="num">Last commit</th><th scope="col"><span class="hidden">Actions</span></th>
            </tr>
          </thead>
          <tbody>{group.partitions.slice(0, rows).map((p) => <Row key={keyOf(p)} p={p} group={group} earliest={earliest[keyOf(p)] ?? 1} now={now} onSeek={onSeek} />)}</tbody>
        </table>
      </div>
      {group.partitions.length > rows && <p class="muted small note">The first {rows} of {count(group.partitions.length)} partitions.</p>}
    </section>
  );
}

function Row({ p, group, earliest, now, onSeek }: { p: Partition; group: Group; earliest: number; now: number; onSeek: (at: Place) => void }) {
  const { done, behind } = shares(p, earliest), owner = group.members.find((m) => m.member === p.member), color = colorOf(group.members, p.member);
  return (
    <tr>
      <th scope="row" class="mono"><a href={to(['topics', p.topic])}>{p.topic}</a>/{p.partition}</th>
      <td class="wide">
        <svg class="progress" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
          <rect class={color} width={done * 100} height={10} />
          <rect class="behind" x={done * 100} width={behind * 100} height={10} />
        </svg>
      </td>
      <td class="num">{p.committed === 0 ? <span class="muted">earliest</span> : count(p.committed)}</td>
      <td class="num">{count(p.end)}</td>
      <td class={p.lag ? 'num warn' : 'num'}>{p.lag === undefined ? <span class="muted">not known</span> : count(p.lag)}</td>
      <td class="mono" title={p.member}>{owner ? <><i class={`swatch ${color}`} aria-hidden="true" />{nameOf(owner)}</> : <span class="muted">nobody</span>}</td>
      <td class="num">{ago(p.committed_at, now)}</td>
      <td class="num"><button class="link" aria-label={`Seek ${keyOf(p)}`} onClick={() => onSeek({ topic: p.topic, partition: p.partition, position: Math.max(p.committed, earliest) })}>Seek</button></td>
    </tr>
  );
}
