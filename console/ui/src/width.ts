import { useEffect, useRef, useState } from 'preact/hooks';

/** How wide an element is, for what is drawn in it. */
export function useWidth(first: number) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const size = new ResizeObserver(() => setWidth(el.clientWidth));
    size.observe(el);
    return () => size.disconnect();
  }, []);
  return { box, width };
}
