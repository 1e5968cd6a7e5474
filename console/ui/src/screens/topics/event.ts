import { members } from './rawjson';

/** An event as the screen keeps it. */
export interface Row {
  n: number; // of this page, only growing
  id: string;
  type: string;
  key: string;
  time: Date;
  attributes: [string, string][];
  data: string; // as text: JSON as it was sent
  bytes: number; // of the data; −1 = there is none
  base64: boolean; // data is base64 of bytes
  media: string;
  notice?: string; // a word about the stream instead of an event
  search: string; // lower case, made when somebody filters
}

let counter = 0;
const encoder = new TextEncoder();

const isJSON = (media: string) => /^application\/(.*\+)?json\b/.test(media) || media === '';

/** Reads a CloudEvent in JSON (CloudEvents JSON format §3). */
export function rowOf(text: string): Row {
  const all = members(text);
  const attributes: [string, string][] = [];
  for (const [name, value] of all) {
    if (name !== 'data' && name !== 'data_base64') attributes.push([name, plain(value)]);
  }
  const get = (name: string) => plain(all.get(name) ?? '');
  const media = get('datacontenttype');
  const base64 = all.has('data_base64');
  let data = all.get(base64 ? 'data_base64' : 'data') ?? '';
  const none = data === '';
  if (base64 || (!isJSON(media) && data.startsWith('"'))) data = plain(data);
  const size = base64 ? Math.floor((data.replace(/=+$/, '').length * 3) / 4) : encoder.encode(data).length;
  return {
    n: counter++, id: get('id'), type: get('type'), key: get('partitionkey') || get('subject'), time: new Date(get('time')),
    attributes, data, bytes: none ? -1 : size, base64, media, search: '',
  };
}

/** A string without its quotes; anything else as it is written. */
function plain(value: string): string {
  return value.startsWith('"') ? (JSON.parse(value) as string) : value;
}

export function noticeRow(text: string): Row {
  return { n: counter++, id: '', type: '', key: '', time: new Date(), attributes: [], data: '', bytes: -1, base64: false, media: '', notice: text, search: '' };
}

/** The bytes of an event's data. */
export function dataBytes(row: Row): Uint8Array {
  return row.base64 ? Uint8Array.from(atob(row.data), (c) => c.charCodeAt(0)) : encoder.encode(row.data);
}

export function matches(row: Row, words: string): boolean {
  if (!words || row.notice) return true;
  row.search ||= (row.attributes.map(([, v]) => v).join(' ') + ' ' + (row.base64 ? '' : row.data)).toLowerCase();
  return words.split(/\s+/).every((w) => row.search.includes(w));
}

export { isJSON };
