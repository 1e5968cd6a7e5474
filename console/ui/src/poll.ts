import { useEffect, useState } from 'preact/hooks';
import { problemOf, token, type Problem } from './api';

/** Loads something again and again for as long as a component is there. */
export function usePoll<T>(load: (signal: AbortSignal) => Promise<T>, every: number, inputs: unknown[]) {
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [turn, again] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        const next = await load(abort.signal);
        if (abort.signal.aborted) return;
        setValue(next);
        setProblem(null);
      } catch (err) {
        if (abort.signal.aborted) return;
        setProblem(problemOf(err));
        if (problemOf(err).status === 401) return; // until there is a token
      }
      timer = window.setTimeout(look, every);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [token.value, turn, ...inputs]);
  return { value, problem, look: () => again((n) => n + 1) };
}
