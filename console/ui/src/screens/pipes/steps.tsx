import { count } from '../../format';
import { rate } from '../queues/backlog';
import { took, type Explained, type Stats } from './model';
import type { Paces } from './samples';

/** The same as the graph, in a table: with what each step took at most. */
export function StepTable({ steps, stats, paces, onChoose }: { steps: Explained[]; stats: Stats | null; paces: Paces; onChoose: (path: string) => void }) {
  const counted = new Map(stats?.steps?.map((s) => [s.path, s]));
  return (
    <div class="scroll-x bare" role="region" tabIndex={0} aria-label="Table of steps">
      <table class="grid dense" data-testid="steps">
        <thead>
          <tr>
            <th scope="col">Step</th><th scope="col" class="pipe-does">Does</th><th scope="col" class="num">In</th><th scope="col" class="num">Out</th><th scope="col" class="num">In a second</th><th scope="col" class="num">Out a second</th>
            <th scope="col" class="num">Errors</th><th scope="col" class="num">Takes</th><th scope="col" class="num">At most</th>
          </tr>
        </thead>
        <tbody>
          {steps.map((e) => {
            const s = counted.get(e.path), p = paces.steps.get(e.path);
            return (
              <tr key={e.path}>
                <th scope="row" class="mono pipe-step" style={{ paddingLeft: `${14 + e.depth * 16}px` }}>{s ? <button class="link mono" aria-label={`Tap ${e.brief}`} title={e.brief} onClick={() => onChoose(e.path)}>{e.brief}</button> : e.brief}</th>
                <td class="pipe-does">{e.does}{e.keeps !== 'nothing' && <span class="muted">; keeps {e.keeps}</span>}</td>
                {s ? (
                  <>
                    <td class="num">{count(s.in)}</td><td class="num">{count(s.out)}</td><td class="num">{rate(p?.in ?? 0)}</td><td class="num">{rate(p?.out ?? 0)}</td>
                    <td class={s.errors ? 'num bad' : 'num'}>{count(s.errors)}</td><td class="num">{took(s.us)}</td><td class="num">{took(s.max_us)}</td>
                  </>
                ) : <td colSpan={7} />}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
