package graph

// pipes builds the pipes of a parameter.
func (c *compiler) pipes(s *spec, param string) ([]node, error) {
	if c.mach == nil {
		return nil, nil // they were checked already
	}
	var all []node
	for i, steps := range s.step.Args[param].Pipes {
		n, err := c.chain(steps, branchPath(s, param, i), 1, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// teeing gives all events to other pipes, too.
type teeing struct {
	stage
	to []node
}

func makeTee(c *compiler, s *spec) (node, error) {
	to, err := c.pipes(s, "to")
	return &teeing{to: to}, err
}

func (s *teeing) care() care { return little }

func (s *teeing) push(items []item) error {
	for _, n := range s.to {
		if err := side(n, items); err != nil {
			return err
		}
	}
	return s.emit(items)
}

// side gives events to a pipe beside the main one, which goes on when that wants no
// more.
func side(n node, items []item) error {
	if len(items) == 0 {
		return nil
	}
	own := make([]item, len(items))
	copy(own, items)
	return unlessEnough(n.common().m.give(n, own))
}

// routing gives some events to another pipe instead.
type routing struct {
	stage
	when *eval
	to   []node
	away []item
}

func makeRoute(c *compiler, s *spec) (node, error) {
	when, err := c.expr(s, "when")
	if err != nil {
		return nil, err
	}
	to, err := c.pipes(s, "to")
	return &routing{when: when, to: to}, err
}

func (s *routing) care() care { return little }

func (s *routing) push(items []item) error {
	stay, away := s.buf[:0], s.away[:0]
	for i := range items {
		yes, err := s.when.truth(&items[i])
		switch {
		case err != nil:
			if err := s.fail(&items[i], err, 1); err != nil {
				return err
			}
		case yes:
			away = append(away, items[i])
		default:
			stay = append(stay, items[i])
		}
	}
	s.buf, s.away = stay, away
	if err := side(s.to[0], away); err != nil {
		return err
	}
	return s.emit(stay)
}

// catching passes events on, and takes those that failed before it.
type catching struct {
	stage
	to []node
}

func makeCatch(c *compiler, s *spec) (node, error) {
	to, err := c.pipes(s, "to")
	return &catching{to: to}, err
}

func (s *catching) care() care              { return little }
func (s *catching) push(items []item) error { return s.emit(items) }

func (s *catching) caught(it *item, d Dead) error {
	return side(s.to[0], []item{{event: d.Letter(), from: it.from, more: it.more}})
}
