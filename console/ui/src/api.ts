import { signal } from '@preact/signals';

/** A problem document (RFC 9457) as the server sends it. */
export interface Problem {
  title: string;
  status: number;
  type?: string;
  detail?: string;
  field?: string;
  fix?: string;
  trace?: string;
}

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

/** What is known of the server: reachable, streaming, coming back, or gone. */
export type Connection = 'connecting' | 'ready' | 'live' | 'reconnecting' | 'offline';
export const connection = signal<Connection>('connecting');

/** Set while a token is asked for: by the server, with its problem, or by the user. */
export const tokenWanted = signal<Problem | 'user' | null>(null);
const tokenKey = 'parley.token';
export const token = signal(sessionStorage.getItem(tokenKey) ?? '');

export function setToken(value: string): void {
  if (value) sessionStorage.setItem(tokenKey, value);
  else sessionStorage.removeItem(tokenKey);
  token.value = value;
  tokenWanted.value = null;
}

export const unreachable: Problem = {
  status: 0,
  title: 'No answer',
  detail: `nothing answers at ${location.origin}`,
  fix: 'is the server running? start it with: parley serve',
};

export function problemOf(err: unknown): Problem {
  if (err instanceof ProblemError) return err.problem;
  return { status: 0, title: 'Something went wrong in the console', detail: String(err), fix: 'reload the page' };
}

/** Sends a request with the token. Throws ProblemError; an AbortError goes through. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token.value) headers.set('Authorization', `Bearer ${token.value}`);
  let res: Response;
  try {
    res = await fetch(path, { ...init, headers });
  } catch (err) {
    if (init.signal?.aborted) throw err;
    connection.value = 'offline';
    throw new ProblemError(unreachable);
  }
  if (connection.value !== 'live') connection.value = 'ready';
  if (res.ok) return res;
  const problem = await problemIn(res);
  if (problem.status === 401) tokenWanted.value = problem;
  throw new ProblemError(problem);
}

async function problemIn(res: Response): Promise<Problem> {
  const plain = { status: res.status, title: res.statusText || `Status ${res.status}` };
  try {
    return { ...plain, ...(await res.json()) };
  } catch {
    return plain;
  }
}

export async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await send(path, init)).json();
}

/** The address of an event stream: EventSource cannot set headers. */
export function streamURL(path: string, query: Record<string, string>): string {
  const all = new URLSearchParams(query);
  if (token.value) all.set('access_token', token.value);
  return `${path}?${all}`;
}

export const topicPath = (name: string, ...rest: string[]) => ['/v1/topics', encodeURIComponent(name), ...rest].join('/');
