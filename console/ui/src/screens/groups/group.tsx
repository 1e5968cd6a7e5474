import { useEffect, useState } from 'preact/hooks';
import { json, problemOf, topicPath } from '../../api';
import { Code } from '../../code';
import { count } from '../../format';
import { useKeys } from '../../keys';
import { usePoll } from '../../poll';
import { go, to } from '../../router';
import { Empty, ErrorPanel } from '../../ui';
import type { Topic } from '../topics/model';
import { DeleteDialog } from './delete';
import { LagLine, sampled, type Sample } from './lag';
import { Members } from './members';
import { groupPath, keyOf, states, type Earliest, type Group, type Place } from './model';
import { NewDialog } from './new';
import { Partitions } from './partitions';
import { SeekDialog } from './seek';
import { joinCommand, showGroup } from './snippets';

/** How many topics are asked where their partitions begin. */
const asked = 20;

/** Where the partitions of some topics begin; of those that may not be read, nothing. */
async function begins(topics: string[], signal: AbortSignal): Promise<Earliest> {
  const all: Earliest = {};
  await Promise.all(topics.slice(0, asked).map(async (name) => {
    try {
      for (const p of (await json<Topic>(topicPath(name), { signal })).partitions ?? []) all[keyOf({ topic: name, partition: p.partition })] = p.earliest;
    } catch (err) {
      if (signal.aborted || problemOf(err).status === 401) throw err; // of the others the group tells enough
    }
  }));
  return all;
}

/** One group: who reads, and how far it is in each partition. */
export function GroupScreen({ name }: { name: string }) {
  const { value: group, problem, look } = usePoll((signal) => json<Group>(groupPath(name), { signal }), 1000, [name]);
  const topics = [...new Set(group?.partitions.map((p) => p.topic))];
  const { value: earliest } = usePoll((signal) => begins(topics, signal), 10_000, [topics.join(' ')]);
  const [dialog, open] = useState<'' | 'seek' | 'delete'>('');
  const [picked, pick] = useState<Place | undefined>();
  const [history, setHistory] = useState<Sample[]>([]);
  useEffect(() => {
    if (group) setHistory((all) => sampled(all, group.lag, Date.now()));
  }, [group]);
  const seek = (from?: Place) => {
    pick(from);
    open('seek');
  };
  useKeys(() => [{ keys: 's', does: 'seek', run: () => { if (group) seek(); } }], [!group]);
  if (problem?.status === 404) return <Missing name={name} onMade={look} />;
  return (
    <div class="screen">
      <header class="screen-head">
        <h1><a href="/groups" class="crumb">Groups</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1>
        <span class="spring" />
        <button class="primary" disabled={!group} title="s" onClick={() => seek()}>Seek</button>
        <button class="danger-quiet" disabled={!group} onClick={() => open('delete')}>Delete</button>
      </header>
      {problem && problem.status !== 401 && <ErrorPanel problem={problem} />}
      {!group && !problem && <p class="muted pad" role="status">Loading…</p>}
      {group && (
        <>
          <Facts group={group} topics={topics.length} />
          <LagLine history={history} />
          <Members group={group} />
          <Partitions group={group} earliest={earliest ?? {}} onSeek={seek} />
        </>
      )}
      <Code of={showGroup(name)} />
      {dialog === 'seek' && group && <SeekDialog group={group} earliest={earliest ?? {}} at={picked} onClose={() => open('')} onDone={look} />}
      {dialog === 'delete' && group && <DeleteDialog group={group} onClose={() => open('')} onDone={() => go(to(['groups']))} />}
    </div>
  );
}

function Facts({ group: g, topics }: { group: Group; topics: number }) {
  return (
    <dl class="facts">
      <div><dt>State</dt><dd><i class={`light is-${g.state}`} aria-hidden="true" />{states[g.state]}</dd></div>
      <div><dt>Lag</dt><dd data-testid="lag">{g.lag === undefined ? 'not known' : count(g.lag)}</dd></div>
      <div><dt>Generation</dt><dd>{count(g.generation)}</dd></div>
      <div><dt>Members</dt><dd>{count(g.members.length)}</dd></div>
      <div><dt>Topics</dt><dd>{count(topics)}</dd></div>
      <div><dt>Partitions</dt><dd>{count(g.partitions.length)}</dd></div>
      <div><dt>Shared out by</dt><dd>{g.leaderless ? 'the server' : 'a member'}</dd></div>
    </dl>
  );
}

function Missing({ name, onMade }: { name: string; onMade: () => void }) {
  const [creating, create] = useState(false);
  return (
    <div class="screen">
      <header class="screen-head"><h1><a href="/groups" class="crumb">Groups</a><span class="crumb" aria-hidden="true">/</span><span class="mono">{name}</span></h1></header>
      <Empty title={`There is no group ${name}`} command={joinCommand(name)}>Its first member makes it, or <button class="link" onClick={() => create(true)}>say where it begins</button> first.</Empty>
      {creating && <NewDialog onClose={() => create(false)} onDone={(made) => (made === name ? onMade() : go(to(['groups', made])))} />}
    </div>
  );
}
