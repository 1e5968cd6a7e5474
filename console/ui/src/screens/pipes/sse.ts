/** An event of a stream, as it was sent. */
export interface Sent { type: string; data: string }

/** Reads an event stream (WHATWG HTML §9.2.6) of which any pieces come. */
export class Stream {
  private rest = '';

  take(text: string): Sent[] {
    const lines = (this.rest + text).split('\n\n');
    this.rest = lines.pop()!;
    return lines.flatMap((block) => {
      let type = 'message';
      const data: string[] = [];
      for (const line of block.split('\n')) {
        if (line.startsWith('event:')) type = line.slice(6).trimStart();
        else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      }
      return data.length ? [{ type, data: data.join('\n') }] : [];
    });
  }
}
