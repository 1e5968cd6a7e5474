package queue

// ends remembers how the newest jobs ended of which there is more to say than that
// they are done: where the result is, or that they were canceled.
type ends struct {
	of    map[int64]end
	order []int64
}

// end is how a job ended: the number of the stream that holds the result, and a
// position at or before it. Of stream 0: it was canceled.
type end struct {
	number uint64
	at     int64
}

// maxEnds bounds what is remembered: about 5 MB.
const maxEnds = 1 << 16

func (r *ends) add(id int64, e end) {
	if r.of == nil {
		r.of = make(map[int64]end)
	}
	if _, known := r.of[id]; known {
		return
	}
	if len(r.order) >= maxEnds {
		delete(r.of, r.order[0])
		r.order = r.order[1:]
	}
	r.of[id] = e
	r.order = append(r.order, id)
}

// cancel ends jobs that nobody wants any more.
func (m *machine) cancel(ids []int64) {
	m.removeAll(ids)
	for _, id := range ids {
		m.ends.add(id, end{})
	}
}

// ackWith ends a job that is done and has a result.
func (m *machine) ackWith(id int64, e end) {
	m.done++
	m.remove(id)
	m.ends.add(id, e)
}

func encodeAckWith(id int64, e end) []byte {
	return appendID(appendID(appendID([]byte{moveAckWith}, id), int64(e.number)), e.at)
}

func (d *decoder) end() end { return end{number: uint64(d.small()), at: d.small()} }

// outcome is how a job ended, or its state; false: it never was one.
type outcome struct {
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	Job    int64  `json:"job"`              // the id, or that of the job whose duplicate it is
	Number uint64 `json:"number,omitempty"` // of the stream that holds the result
	At     int64  `json:"at,omitempty"`
}

// outcomeOf tells how a job ended.
func (m *machine) outcomeOf(id int64) (outcome, bool) {
	if first := m.dups.of[id]; first != 0 {
		id = first
	}
	out := outcome{Job: id, State: Done}
	if p, there := m.phaseOf(id); there {
		if out.State = p.state(); p == phaseDead {
			out.Reason = m.entries[id].more.reason
		}
		return out, true
	}
	e, known := m.ends.of[id]
	switch {
	case known && e.number == 0:
		out.State = Canceled
	case known:
		out.Number, out.At = e.number, e.at
	}
	return out, id >= 1 && id < m.next
}

// over says that a job will not change by being worked on.
func (o outcome) over() bool {
	return o.State == Done || o.State == Canceled || o.State == Dead
}
