import { signal } from '@preact/signals';

// Where the page is: the path's segments, decoded, and the query. Every state that is
// worth a link is in them.
export interface Place {
  segments: string[];
  query: URLSearchParams;
}

const here = (): Place => ({
  segments: location.pathname.split('/').filter(Boolean).map(decode),
  query: new URLSearchParams(location.search),
});

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export const place = signal<Place>(here());
addEventListener('popstate', () => (place.value = here()));

/** Makes the address of a screen. */
export function to(segments: string[], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== '')).toString();
  return '/' + segments.map(encodeURIComponent).join('/') + (search && '?' + search);
}

export function go(url: string, replace = false): void {
  if (url !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', url);
  place.value = here();
}

/** Changes members of the query; an empty value removes one. */
export function setQuery(change: Record<string, string>, replace = false): void {
  const query = Object.fromEntries(place.value.query);
  go(to(place.value.segments, { ...query, ...change }), replace);
}

/** Follows plain clicks on links of the console without loading the page anew. */
export function follow(e: MouseEvent): void {
  const link = (e.target as Element).closest?.('a');
  if (!link || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || link.target || link.origin !== location.origin || link.pathname.startsWith('/v1/')) return;
  e.preventDefault();
  go(link.pathname + link.search);
}
