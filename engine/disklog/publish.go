package disklog

import "github.com/parleyhq/parley"

// publish makes the changes of a group at a level visible and wakes who waits
// for them. Groups come in order; of one stream, no change overtakes another.
func (c *core) publish(g *group, level Level) {
	if level == OS && !g.atOS {
		return
	}
	c.pub.Lock()
	made := make(map[*stream]*view)
	for i := range g.ops {
		if o := &g.ops[i]; o.level == level {
			c.publishOp(g, o, made)
		}
	}
	touched := make([]*stream, 0, len(made))
	for st, v := range made {
		st.view.Store(v)
		if v != nil {
			c.readable.Store(st.name, st)
		} else {
			c.readable.CompareAndDelete(st.name, st)
		}
		touched = append(touched, st)
	}
	if level == Fsync {
		f := g.file
		f.millis, f.group, f.end = g.millis, g.fate.seq, g.end()
	}
	c.pub.Unlock()
	c.log.waits.wake(touched, made)
}

// publishOp applies one op to the new view of its stream. The caller holds pub.
func (c *core) publishOp(g *group, o *op, made map[*stream]*view) {
	st := o.st
	v := made[st]
	if v == nil {
		v = &view{epoch: st.epoch}
		if old := st.view.Load(); old != nil {
			*v = *old
		}
		made[st] = v
	}
	ext := g.file.extent(st)
	switch o.kind {
	case kindCreate:
		st.created, st.firstEpoch = g.file.gen, st.epoch
		c.streams[st.number] = st
	case kindBatch:
		v.add(g.file.gen, o.batch)
		st.atOS = o.level == OS
		*ext = extent{v.newest, v.next}
		if o.key != (parley.Key{}) {
			g.file.keys = append(g.file.keys, keyed{st.number, o.key, o.batch.Base(), g.millis})
		}
	case kindTrim:
		c.garbage = append(c.garbage, v.trim(o.low)...)
	case kindRemove:
		c.garbage = append(c.garbage, v.segs...)
		st.removed = g.file.gen
		made[st] = nil
	}
}

// find gives a stream of which something is visible, and what.
func (c *core) find(s parley.Stream) (*stream, *view) {
	got, ok := c.readable.Load(s)
	if !ok {
		return nil, nil
	}
	st, _ := got.(*stream)
	return st, st.view.Load()
}
