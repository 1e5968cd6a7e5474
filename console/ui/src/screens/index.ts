import type { ComponentType } from 'preact';
import { Groups } from './groups/groups';
import { Lab } from './lab/lab';
import { Limits } from './limits/limits';
import { Pipes } from './pipes/pipes';
import { Queues } from './queues/queues';
import { Topics } from './topics/topics';

/** A screen of the console. One more is a file, a line here, and its address in console.go. */
export interface Screen {
  path: string; // first segment of its address
  title: string;
  key: string; // g and this key go there
  icon: string; // an SVG path on a field of 20 × 20
  component: ComponentType;
}

export const screens: Screen[] = [
  { path: 'topics', title: 'Topics', key: 't', icon: 'M3 5h10M3 10h14M3 15h7', component: Topics },
  { path: 'queues', title: 'Queues', key: 'q', icon: 'M3 4h14v4H3zM3 12h6v4H3zM13 14h4M15 12v4', component: Queues },
  { path: 'groups', title: 'Groups', key: 'g', icon: 'M4 4h12M4 8h7M7.5 11.5a2 2 0 1 0 0.010 0M13.500 11.500a2 2 0 1 0 0.010 0M3.500 18a4 3 0 0 1 8 0M10.500 16a4 3 0 0 1 6.500 2', component: Groups },
  { path: 'pipes', title: 'Pipes', key: 'p', icon: 'M2 6h5v8H2zM13 3h5v5h-5zM13 12h5v5h-5zM7 10h3M10 5.500v9M10 5.500h3M10 14.500h3', component: Pipes },
  { path: 'limits', title: 'Limits', key: 'i', icon: 'M3 14a7 7 0 0 1 14 0M10 14l3.500-4.500M3 17h14', component: Limits },
  { path: 'lab', title: 'Lab', key: 'l', icon: 'M7 3h6M8.5 3v5L4 16a1 1 0 0 0 1 1.5h10a1 1 0 0 0 1-1.5l-4.500-8V3M6.500 12.500h7', component: Lab },
];
