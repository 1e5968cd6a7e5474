package disklog

// saveClean saves, when everything was flushed, where the log ends: the next
// Open then knows it, and nothing else that it finds is a torn end.
func (c *core) saveClean() error {
	c.pub.Lock()
	m := *c.meta
	m.seq, m.clean, m.sealed = m.seq+1, true, nil
	for _, f := range c.sealed {
		m.sealed = append(m.sealed, place{f.gen, f.end})
	}
	c.mu.Lock()
	if f := c.file; f != nil && f.end > 0 {
		m.sealed = append(m.sealed, place{f.gen, f.end})
	}
	m.generation, m.epoch, m.number, m.segment = c.gen, c.epoch, c.number, c.segment.Load()
	c.mu.Unlock()
	c.pub.Unlock()
	return m.save(c.log.fs)
}
