import type { Kind, Run } from './run';

/** A pipe of one lane: a source, its stages and a sink. */
export interface Flow { name: string; title: string; summary: string; stages: string[]; queues?: boolean }
export interface PipeRequest { events: number; work: string; lanes: number; batch: number; room: number; seed: number }

/** An event that went into a stage or came out of it, in milliseconds of the run. */
export interface Mark { lane: string; stage: string; way: 'in' | 'out'; event: number; at: number }

export interface StageFigures { stage: string; busy: number; waiting: number; most: number }
export interface FlowFigures {
  lane: string;
  events: number;
  took: number;
  overtaken: number;
  calls: number;
  peak: number;
  held: number;
  acked: number;
  latency: { p50: number; p99: number; max: number };
  stages: StageFigures[];
}

export interface PipeOpening { request: PipeRequest; flows: Flow[]; tasks: number[] }

/** A run with pipes, and what it has told so far. */
export type PipeRun = Run<PipeRequest, PipeOpening, Mark, FlowFigures>;
export const pipeKind: Kind<Mark> = { path: '/lab/pipe', opening: 'pipe_opening', news: 'marks', closing: 'pipe_closing' };

/** An event's way through a flow, as far as it has come. */
export interface Way { event: number; gave: number; works: { stage: string; began: number; ended?: number }[]; took?: number; overtaken: boolean }

/** The ways of the events of one flow, from marks in the order of time. */
export function ways(marks: Mark[]): Way[] {
  const all = new Map<number, Way>();
  let newest = 0; // that was taken
  for (const m of marks) {
    if (m.stage === 'source') all.set(m.event, { event: m.event, gave: m.at, works: [], overtaken: false });
    const way = all.get(m.event);
    if (!way || m.stage === 'source') continue;
    if (m.stage === 'sink') {
      way.took = m.at;
      way.overtaken = m.event < newest;
      newest = Math.max(newest, m.event);
    } else if (m.way === 'in') way.works.push({ stage: m.stage, began: m.at });
    else {
      const work = way.works.find((w) => w.stage === m.stage);
      if (work) work.ended = m.at;
    }
  }
  return [...all.values()];
}

/** How many events wait before a stage, whenever that changes: the stage before has let them go, and this one has not begun. */
export function queueOf(marks: Mark[], before: string, stage: string): [number, number][] {
  const steps: [number, number][] = [];
  let n = 0;
  for (const m of marks) {
    const by = m.stage === before && m.way === 'out' ? 1 : m.stage === stage && m.way === 'in' ? -1 : 0;
    if (!by) continue;
    n += by;
    const last = steps[steps.length - 1];
    if (last && last[0] === m.at) last[1] = n;
    else steps.push([m.at, n]);
  }
  return steps;
}
