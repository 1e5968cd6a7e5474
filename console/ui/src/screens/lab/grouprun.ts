import type { Kind, Run } from './run';

export interface Reader { name: string; title: string; summary: string; late?: boolean; back?: boolean; live?: boolean }
export interface GroupsRequest { events: number; duration: string; partitions: number; seed: number }

/** One thing that somebody did, in milliseconds of the run. */
export interface Act { lane: string; kind: 'published' | 'joined' | 'sought' | 'read'; at: number; event?: number; turn?: number; partition?: number; position?: number }

export interface GroupFigures {
  lane: string;
  events: number;
  missing: number;
  again: number;
  ordered: boolean;
  caught_up: number;
  latency: { p50: number; p99: number; max: number };
  requests: number;
  connections: number;
  bytes_in: number;
  bytes_out: number;
}

export interface GroupsOpening { topic: string; request: GroupsRequest; readers: Reader[]; schedule: number[]; middle: number }

/** A run with consumer groups, and what it has told so far. */
export type GroupRun = Run<GroupsRequest, GroupsOpening, Act, GroupFigures>;
export const groupKind: Kind<Act> = { path: '/lab/groups', opening: 'groups_opening', news: 'acts', closing: 'groups_closing' };
