import { count } from '../../format';
import { states, took, type Part } from './model';

/** The most rows that are drawn. */
const rows = 256;

/** The owners of a pipe that is spread over the partitions of its topics. */
export function Parts({ parts }: { parts: Part[] }) {
  const nodes = parts.some((p) => p.node);
  return (
    <section class="panel" aria-label="Partitions">
      <div class="toolbar"><h2>Partitions</h2><span class="muted small">{count(parts.length)}, each worked off by itself</span></div>
      <div class="scroll-x bare" role="region" tabIndex={0} aria-label="Table of partitions">
        <table class="grid dense" data-testid="parts">
          <thead>
            <tr>
              <th scope="col" class="num">Partition</th><th scope="col">State</th>{nodes && <th scope="col">Node</th>}<th scope="col" class="num">Read</th><th scope="col" class="num">Published</th><th scope="col" class="num">Dead</th>
              <th scope="col" class="num">Lag</th><th scope="col" class="num">Commits</th><th scope="col" class="num">The last took</th><th scope="col">Trouble</th>
            </tr>
          </thead>
          <tbody>
            {parts.slice(0, rows).map((p) => (
              <tr key={p.partition}>
                <th scope="row" class="num">{p.partition}</th>
                <td><i class={`light is-${p.state}`} aria-hidden="true" />{states[p.state] ?? p.state}</td>
                {nodes && <td class="mono">{p.node}</td>}
                <td class="num">{count(p.in)}</td><td class="num">{count(p.out)}</td><td class={p.dead ? 'num bad' : 'num'}>{count(p.dead)}</td>
                <td class={p.lag ? 'num warn' : 'num'}>{count(p.lag)}</td><td class="num">{count(p.commits)}</td><td class="num">{took(p.commit_us)}</td>
                <td class="bad">{p.problem}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {parts.length > rows && <p class="muted small note">The first {rows} of {count(parts.length)} partitions.</p>}
    </section>
  );
}
