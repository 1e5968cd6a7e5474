import type { Definition } from '../limits/model';
import type { Kind, Run } from './run';

export interface LimitLane { name: string; title: string; summary: string }
export interface Experiment { name: string; title: string; summary: string; lanes: LimitLane[] }
export interface LimitRequest { experiment: string; quota: number; window: string; seed: number }

/** One request of a caller and its answer, in milliseconds of the run. */
export interface Call { lane: string; call: number; try: number; sent: number; done: number; status: number; retry_after?: number; left?: number }

export interface LimitFigures {
  lane: string;
  calls: number;
  admitted: number;
  refused: number;
  requests: number;
  peak: number;
  inside: number;
  waited: { p50: number; p99: number; max: number };
  last: number;
  connections: number;
  bytes_in: number;
  bytes_out: number;
}

export interface Opening { topic: string; request: LimitRequest; experiment: Experiment; limits: ({ lane: string; name: string } & Definition)[]; schedule: number[]; edge?: number; wait: number }

export const letIn = (c: Call) => c.status === 200 || c.status === 201;

/** A run with limits, and what it has told so far. */
export type LimitRun = Run<LimitRequest, Opening, Call, LimitFigures>;
export const limitKind: Kind<Call> = { path: '/lab/limits', opening: 'opening', news: 'calls', closing: 'closing' };
