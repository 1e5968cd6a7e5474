package natslog

import (
	"fmt"

	"github.com/parleyhq/parley"
)

// message is one message of a commit, not yet encoded.
type message struct {
	stream  parley.Stream // whose events; the zero Stream is the guards' subject
	batch   parley.Batch
	compare bool          // with the newest sequence of about
	expect  uint64        // 0 = nothing was ever appended
	about   parley.Stream // mostly stream itself
}

// answer is where the answer to a write comes from: a message of the commit, or
// what was compared.
type answer struct {
	message int // index; −1 = none
	base    parley.Position
}

// plan is a commit: messages that JetStream stores together or not at all, every
// comparison on one of them.
type plan struct {
	messages []message
	answers  []answer
}

// planned is what a plan knows of one stream.
type planned struct {
	compare bool
	expect  uint64
	first   int // index of its first message; −1 = none so far
	last    int
}

// plans makes a commit of writes. newest gives the sequence of a stream's newest
// batch, for guards that do not name it. It is pure.
//
// A subject that was written in a commit cannot be compared there any more, so
// what a comparison would find is decided here: a position that nobody can know
// yet never holds.
func plans(writes []parley.Write, newest func(parley.Stream) uint64) (plan, error) {
	p := plan{answers: make([]answer, len(writes))}
	streams := make(map[parley.Stream]*planned, len(writes))
	var order []parley.Stream
	for i := range writes {
		w := &writes[i]
		st := streams[w.Stream]
		if st == nil {
			st = &planned{first: -1}
			streams[w.Stream] = st
			order = append(order, w.Stream)
		}
		expect, guard := w.Expect, w.Batch.IsZero()
		if st.first >= 0 {
			if expect != parley.Any {
				return plan{}, conflict(w.Stream, expect, "another batch of the same commit comes before")
			}
		} else if err := st.expecting(w, newest); err != nil {
			return plan{}, err
		}
		if guard {
			p.answers[i] = answer{st.last, baseOf(st.expect)}
			if st.first < 0 {
				p.answers[i].message = -1
			}
			continue
		}
		if st.last = len(p.messages); st.first < 0 {
			st.first = st.last
		}
		p.answers[i] = answer{message: st.last}
		p.messages = append(p.messages, message{stream: w.Stream, batch: w.Batch})
	}
	p.compare(order, streams)
	return p, nil
}

// expecting takes the comparison of a write in that comes before all batches of
// its stream.
func (st *planned) expecting(w *parley.Write, newest func(parley.Stream) uint64) error {
	var seq uint64
	switch {
	case w.Expect == parley.Any && w.Batch.IsZero():
		if st.compare {
			return nil
		}
		seq = newest(w.Stream)
	case w.Expect == parley.Any:
		return nil
	case w.Expect == parley.Empty:
	case indexOf(w.Expect) != 0:
		return conflict(w.Stream, w.Expect, "no batch begins there")
	default:
		seq = seqOf(w.Expect)
	}
	if w.Expect > 0 && seq == 0 || st.compare && st.expect != seq {
		return conflict(w.Stream, w.Expect, "another write of the same commit says otherwise")
	}
	st.compare, st.expect = true, seq
	return nil
}

// compare puts every comparison on a message: on the first of its stream, on one
// that has none, or on one made for it.
func (p *plan) compare(order []parley.Stream, streams map[parley.Stream]*planned) {
	for _, s := range order {
		if st := streams[s]; st.compare && st.first >= 0 {
			m := &p.messages[st.first]
			m.compare, m.expect, m.about = true, st.expect, s
		}
	}
	free := 0
	for _, s := range order {
		st := streams[s]
		if !st.compare || st.first >= 0 {
			continue
		}
		for free < len(p.messages) && p.messages[free].compare {
			free++
		}
		if free == len(p.messages) {
			p.messages = append(p.messages, message{})
		}
		m := &p.messages[free]
		m.compare, m.expect, m.about = true, st.expect, s
	}
}

func conflict(s parley.Stream, expect parley.Position, why string) error {
	what := fmt.Sprintf("%d was expected as its newest batch: %s", expect, why)
	if expect == parley.Empty {
		what = "nothing was expected in it: " + why
	}
	return &parley.Error{Code: parley.Conflict, Detail: "stream " + s.Name + ": " + what, Fix: "read what came in between and decide anew"}
}
