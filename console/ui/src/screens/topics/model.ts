export interface Settings {
  partitions: number;
  durability: string;
  max_age: string;
  max_bytes: number;
  max_event: number;
  poll_hint: string;
}

export interface Partition {
  partition: number;
  earliest: number;
  end: number;
  events: number;
  bytes: number;
  oldest?: string;
}

export interface Topic {
  name: string;
  settings: Settings;
  created?: string;
  partitions?: Partition[];
  events: number;
  bytes: number;
}

/** A page of events (GET …/events); the events are read anew from the text. */
export interface Page {
  cursor: string;
  more: boolean;
  before?: string;
}
