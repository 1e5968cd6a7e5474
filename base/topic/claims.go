package topic

import "sync"

// claims remembers what the idempotency keys of this process stood for, for
// topics of several partitions: a key that comes again with content that goes
// elsewhere meets no Once that it could be compared with. What must hold beyond
// this process rests on Once, not on claims.
type claims struct {
	mu     sync.Mutex // only around the window
	window window
}

// claim notes what the key of a request stands for. The commit it gives is nil
// when the request has no digest, or was here before. Error: KeyReused.
func (c *claims) claim(t *Topic, q *request) (*commit, error) {
	if q.digest == nil {
		return nil, nil
	}
	mine := &commit{key: onceKey("claim", t.Name, q.key), digest: q.digest.sum(), at: q.now}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window.expire(q.now)
	if first := c.window.find(q.now, mine.key); first != nil {
		if first.digest != mine.digest {
			return nil, reused("Idempotency-Key", first.digest, mine.digest)
		}
		return nil, nil
	}
	c.window.add(mine)
	return mine, nil
}

// drop takes a claim back after a failure: who sends less, because the request
// was too large, may keep the key.
func (c *claims) drop(mine *commit) {
	if mine == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.window.byKey[mine.key] == mine {
		delete(c.window.byKey, mine.key)
	}
}
