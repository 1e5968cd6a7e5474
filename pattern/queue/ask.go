package queue

import (
	"encoding/binary"
	"encoding/json"
	"time"
)

// Requests and answers between a Queue and the owner are JSON, but for those that
// every job passes: the lease, and settlements that are nothing but acks. They begin
// with a byte that JSON cannot begin with:
//
//	1 max wait visibility worker                                  lease
//	1 n (token id place priority key attempt until for)*          what was granted
//	2 n lease*                                                    acks
//	2 n                                                           all are durable
const (
	hotLease = 1
	hotAcks  = 2
)

// encode encodes a request.
func (r *request) encode() ([]byte, error) {
	switch {
	case r.Op == "lease":
		b := binary.AppendUvarint([]byte{hotLease}, uint64(r.Max))
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(r.Wait)), uint64(r.Visibility))
		return appendText(b, r.Worker), nil
	case r.Op == "settle" && allPlain(r.Settle):
		b := make([]byte, 0, 16+len(r.Settle)*(len(r.Settle[0].Lease)+4))
		b = binary.AppendUvarint(append(b, hotAcks), uint64(len(r.Settle)))
		for i := range r.Settle {
			b = appendText(b, r.Settle[i].Lease)
		}
		return b, nil
	}
	return json.Marshal(r)
}

func allPlain(list []settlement) bool { return len(list) > 0 && plainRun(list) == len(list) }

// plainRun is how many settlements at the beginning are plain.
func plainRun(list []settlement) (n int) {
	for n < len(list) && list[n].plain() {
		n++
	}
	return n
}

// plain says that a settlement is an ack and nothing else.
func (s *settlement) plain() bool { return s.Action == Ack && s.Result == nil }

// decode decodes a request; false: it cannot be read.
func (r *request) decode(in []byte) bool {
	if len(in) == 0 || in[0] > hotAcks {
		return json.Unmarshal(in, r) == nil
	}
	d := slicer{text: string(in[1:])}
	if in[0] == hotLease {
		r.Op = "lease"
		r.Max, r.Wait, r.Visibility, r.Worker = int(d.number()), time.Duration(d.number()), int64(d.number()), d.next()
		return !d.bad && d.text == "" && r.Max >= 0 && r.Max <= MaxLease && r.Wait >= 0 && r.Visibility >= 0
	}
	n := d.number()
	if d.bad = d.bad || n > MaxSettle; d.bad {
		return false
	}
	r.Op, r.Settle = "settle", make([]settlement, n)
	for i := range r.Settle {
		r.Settle[i] = settlement{Lease: d.next(), Action: Ack}
	}
	return !d.bad && d.text == ""
}

// encode encodes the answer to a request.
func (a *answer) encode(r *request) ([]byte, error) {
	switch {
	case r.Op == "lease":
		b := make([]byte, 0, 16+len(a.Granted)*96)
		b = binary.AppendUvarint(append(b, hotLease), uint64(len(a.Granted)))
		for i := range a.Granted {
			g := &a.Granted[i]
			b = appendID(appendID(appendText(b, g.Token), g.ID), g.Place)
			b = appendText(binary.AppendUvarint(b, uint64(g.Priority)), g.Key)
			b = appendID(appendID(binary.AppendUvarint(b, uint64(g.Attempt)), g.Until), g.For)
		}
		return b, nil
	case r.Op == "settle" && allDone(a.Problems):
		return binary.AppendUvarint([]byte{hotAcks}, uint64(len(a.Problems))), nil
	}
	return json.Marshal(a)
}

func allDone(list []*problem) bool {
	for _, p := range list {
		if p != nil {
			return false
		}
	}
	return true
}

// decode decodes an answer; false: it cannot be read.
func (a *answer) decode(in []byte) bool {
	if len(in) == 0 || in[0] > hotAcks {
		return json.Unmarshal(in, a) == nil
	}
	d := slicer{text: string(in[1:])}
	n := d.number()
	if d.bad = d.bad || n > max(MaxLease, MaxSettle); d.bad {
		return false
	}
	if in[0] == hotAcks {
		a.Problems = make([]*problem, n)
		return d.text == ""
	}
	a.Granted = make([]granted, n)
	for i := range a.Granted {
		a.Granted[i] = granted{
			Token: d.next(), ID: int64(d.number()), Place: int64(d.number()), Priority: int(d.number()), Key: d.next(),
			Attempt: int(d.number()), Until: int64(d.number()), For: int64(d.number()),
		}
	}
	return !d.bad && d.text == ""
}

// slicer takes a text apart; the parts share its memory.
type slicer struct {
	text string
	bad  bool
}

func (d *slicer) number() (v uint64) {
	for shift := 0; shift < 64 && len(d.text) > 0; shift += 7 {
		b := d.text[0]
		d.text = d.text[1:]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	d.bad = true
	return 0
}

func (d *slicer) next() string {
	n := d.number()
	if d.bad || n > uint64(len(d.text)) {
		d.bad = true
		return ""
	}
	s := d.text[:n]
	d.text = d.text[n:]
	return s
}
