package disklog

import "github.com/parleyhq/parley"

// room gives the group that takes so many more bytes and frames, or what to wait
// for, or why there is none. Control frames may use what is kept for them.
func (c *core) room(bytes int64, frames int, control bool) (*group, <-chan struct{}, error) {
	var g *group
	if n := len(c.queue); n > 0 {
		g = c.queue[n-1]
	}
	keep := int64(controlRoom)
	if control {
		keep = 0
	}
	// What the group would end at, with the frames to come.
	need := bytes + int64(frames)*commitEntry
	if g != nil && g.file == c.file && g.bytes+bytes <= c.log.opts.GroupBytes && g.end()+need+keep <= c.file.size {
		return g, nil, nil
	}
	if c.queued > 0 && c.queued+bytes > 2*c.log.opts.GroupBytes {
		return nil, c.later(), nil // the writer is behind
	}
	need += int64(commitSize(0))
	if c.end()+need+keep <= c.file.size {
		return c.begin(), nil, nil
	}
	if c.next == nil || c.next.size < need+controlRoom {
		c.want = max(c.want, need+controlRoom)
		poke(c.hungry)
		if c.stuck != nil {
			return nil, nil, c.stuck
		}
		return nil, c.later(), nil
	}
	c.rotate()
	return c.begin(), nil, nil
}

// end is where the next group would begin in the present file.
func (c *core) end() int64 {
	if n := len(c.queue); n > 0 && c.queue[n-1].file == c.file {
		return c.queue[n-1].end()
	}
	return c.off
}

// begin starts a group behind the last one.
func (c *core) begin() *group {
	c.seq++
	g := &group{
		file: c.file, off: c.end(), millis: c.log.opts.Now().UnixMilli(),
		fate: &fate{seq: c.seq, written: newSignal(), durable: newSignal()},
	}
	c.queue = append(c.queue, g)
	return g
}

// rotate goes on in the next file.
func (c *core) rotate() {
	c.file, c.off, c.next, c.want = c.next, 0, nil, 0
	poke(c.hungry)
}

func errFull() error {
	return &parley.Error{
		Code: parley.Full, Detail: "no room on the disk for another log file",
		Fix: "free space, or shorten the retention; reading goes on",
	}
}
