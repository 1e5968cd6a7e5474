import { useState } from 'preact/hooks';
import { problemOf, send, type Problem } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { Dialog, ErrorPanel } from '../../ui';
import { groupPath, type Group } from './model';
import { deleteGroup } from './snippets';

export function DeleteDialog({ group, onClose, onDone }: { group: Group; onClose: () => void; onDone: () => void }) {
  const [force, setForce] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const n = group.members.length;
  const submit = async (e: Event) => {
    e.preventDefault();
    try {
      await send(groupPath(group.name) + (force ? '?force=true' : ''), { method: 'DELETE' });
      onClose();
      onDone();
    } catch (err) {
      setProblem(problemOf(err));
    }
  };
  return (
    <Dialog title={`Delete ${group.name}?`} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p>Its places in {count(group.partitions.length)} {group.partitions.length === 1 ? 'partition' : 'partitions'} are forgotten; the events stay, for every other group. A member that joins later begins anew.</p>
        {n > 0 && <label class="check"><input type="checkbox" checked={force} onChange={(e) => setForce(e.currentTarget.checked)} />also while {n === 1 ? 'one member reads' : `${count(n)} members read`}, who {n === 1 ? 'is' : 'are'} taken out</label>}
        {problem && <ErrorPanel problem={problem} />}
        <Code of={deleteGroup(group.name, force)} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="danger" disabled={n > 0 && !force}>Delete group</button>
        </div>
      </form>
    </Dialog>
  );
}
