package lab

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// GroupsOpening is what is known before a run with consumer groups.
type GroupsOpening struct {
	Topic    string        `json:"topic"` // each group has its name from it
	Request  GroupsRequest `json:"request"`
	Readers  []Reader      `json:"readers"`
	Schedule []float64     `json:"schedule"` // when each event is published, in milliseconds
	Middle   float64       `json:"middle"`   // when the late ones come
}

// GroupsClosing is what is known after it.
type GroupsClosing struct {
	Figures   []GroupFigures `json:"figures"`
	Truncated int            `json:"truncated"` // messages that were counted and not kept
	Took      float64        `json:"took"`      // milliseconds
}

// groups answers like run, for consumer groups.
func (l *Lab) groups(w http.ResponseWriter, r *http.Request) {
	req, err := asked(l, w, r, ParseGroupsRequest)
	if err == nil {
		err = l.enter(time.Duration(req.Duration))
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	defer l.leave()
	one := &groupsRun{req: req, api: l.opt.Handler, open: l.open, topic: topicName(), token: bearer(r)}
	later := r.WithContext(context.WithoutCancel(r.Context()))
	// The API decides who may: it sees the caller's token, origin and host.
	if a := l.ask(r, http.MethodPut, "/v1/topics/"+one.topic, `{"max_age": "10m", "partitions": `+strconv.Itoa(req.Partitions)+`}`); a.status >= 300 {
		a.copy(w)
		return
	}
	defer l.ask(later, http.MethodDelete, "/v1/topics/"+one.topic, "")
	for _, reader := range Readers() {
		if !reader.Live {
			defer l.ask(later, http.MethodDelete, "/v1/groups/"+one.groupOf(reader)+"?force=true", "")
		}
	}
	one.rec = newRecorder(time.Now(), one.names(), 0)
	stream(w, r, one)
}

func (r *groupsRun) first() Line {
	o := &GroupsOpening{Topic: r.topic, Request: r.req, Readers: Readers(), Middle: milliseconds(r.req.middle())}
	for _, at := range r.req.schedule() {
		o.Schedule = append(o.Schedule, milliseconds(at))
	}
	return Line{GroupsOpening: o}
}

func (r *groupsRun) news() Line { return Line{Trace: r.rec.take(), Acts: r.acts.take()} }

func (r *groupsRun) last() Line {
	wire, truncated := r.rec.figures(r.names())
	out := &GroupsClosing{Truncated: truncated, Took: r.now()}
	for i, reader := range Readers() {
		f, cost := groupFigures(reader, r.acts.all), wire[i+1] // behind the publisher's
		f.Requests, f.Connections, f.BytesIn, f.BytesOut = cost.Requests, cost.Connections, cost.BytesIn, cost.BytesOut
		out.Figures = append(out.Figures, f)
	}
	return Line{GroupsClosing: out}
}
