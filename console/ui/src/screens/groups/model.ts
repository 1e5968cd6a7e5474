/** The position of the event to read next. 0 is the earliest. */
export interface Place { topic: string; partition: number; position: number }

/** A group as GET /v1/groups lists it. All but the name is missing of one that no node answers for. */
export interface Summary { name: string; state?: State; members: number; generation: number; topics: string[]; lag?: number }
export type State = 'empty' | 'joining' | 'stable';

export interface Member { member: string; client?: string; topics: string[]; assigned: Place[]; joined: string; last_seen: string }
export interface Partition { topic: string; partition: number; committed: number; committed_at?: string; end: number; lag?: number; member?: string }

/** A group as GET /v1/groups/NAME shows it. */
export interface Group {
  name: string;
  protocol: string;
  state: State;
  generation: number;
  leaderless: boolean;
  lag?: number;
  members: Member[];
  partitions: Partition[];
}

export const groupPath = (name: string, ...rest: string[]) => ['/v1/groups', encodeURIComponent(name), ...rest].join('/');
export const keyOf = (p: { topic: string; partition: number }) => `${p.topic}/${p.partition}`;

export const states: Record<State, string> = { empty: 'nobody reads', joining: 'rebalancing', stable: 'reading' };

/** Where a partition begins that retention has shortened, by keyOf; 1 where it is not known. */
export type Earliest = Record<string, number>;

/** The parts of a partition's bar, of 1: what is worked off, and what is not. */
export function shares(p: Partition, earliest: number): { done: number; behind: number } {
  const begin = Math.max(1, earliest), end = Math.max(p.end, begin), at = Math.min(Math.max(p.committed, begin), end);
  if (end === begin) return { done: 1, behind: 0 };
  const done = (at - begin) / (end - begin);
  const behind = at === end ? 0 : Math.max(1 - done, 0.02); // a little that is left is seen
  return { done: 1 - behind, behind };
}

/** What a seek does to one partition. Positions may have gaps, so counts are upper bounds. */
export interface Move { topic: string; partition: number; from: number; to: number; again: number; skipped: number; member?: string }

/** Compares where a group is with where a seek would take it. */
export function moves(partitions: Partition[], places: Place[], earliest: Earliest): Move[] {
  const now = new Map(partitions.map((p) => [keyOf(p), p]));
  return places.map((to) => {
    const p = now.get(keyOf(to)), begin = Math.max(1, earliest[keyOf(to)] ?? 1);
    const from = Math.max(p?.committed ?? 0, begin), at = Math.max(to.position, begin);
    return { topic: to.topic, partition: to.partition, from, to: at, again: p ? Math.max(0, from - at) : 0, skipped: p ? Math.max(0, at - from) : 0, member: p?.member };
  });
}

/** How long ago, as people say it. */
export function ago(then: string | undefined, now: number): string {
  if (!then) return 'never';
  const s = Math.max(0, (now - Date.parse(then)) / 1000);
  if (s < 2) return 'now';
  if (s < 120) return `${Math.floor(s)} s ago`;
  if (s < 7200) return `${Math.floor(s / 60)} min ago`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

/** The class of a member's color: there are eight, and nobody else has none. */
export const colorOf = (members: Member[], member?: string) => {
  const i = members.findIndex((m) => m.member === member);
  return i < 0 ? 'owner-none' : `owner-${i % 8}`;
};

/** What a member is called. */
export const nameOf = (m: Member) => m.client || m.member.slice(0, 10);
