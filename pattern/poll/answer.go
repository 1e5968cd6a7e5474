package poll

import (
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

// AppendPage appends the JSON answer
//
//	{"events":[…],"cursor":"…","more":false,"new_messages":2}
//
// where new_messages is the number of events. Events are copied as they are; an
// empty one is null. It does not check them: whoever made them answers for their
// being JSON.
func AppendPage(dst []byte, p Page) []byte {
	dst = append(dst, `{"events":[`...)
	for i, event := range p.Events {
		if i > 0 {
			dst = append(dst, ',')
		}
		if len(event) == 0 {
			dst = append(dst, "null"...)
			continue
		}
		dst = append(dst, event...)
	}
	dst = append(dst, `],"cursor":"`...)
	dst = append(dst, p.Cursor...)
	dst = append(dst, `","more":`...)
	dst = strconv.AppendBool(dst, p.More)
	dst = append(dst, `,"new_messages":`...)
	dst = strconv.AppendInt(dst, int64(len(p.Events)), 10)
	if p.Before != "" {
		dst = append(append(append(dst, `,"before":"`...), p.Before...), '"')
	}
	return append(dst, '}')
}

// ETag is the strong entity tag of a page: its cursor in quotes. A page with more
// behind it has a + after the cursor, since the same URL answers another body once
// more turns from false to true.
func (p Page) ETag() string {
	if p.More {
		return `"` + p.Cursor + `+"`
	}
	return `"` + p.Cursor + `"`
}

// Check says whether the page keeps its promises: a cursor that can travel, and
// no more events than were asked for. A page that does not is the source's fault, an
// Internal error.
func (p Page) Check(limit int) error {
	if !validCursor(p.Cursor) {
		return parley.Errorf(parley.Internal, "poll: the source gave %.40q as a cursor", p.Cursor)
	}
	if len(p.Events) > limit {
		return parley.Errorf(parley.Internal, "poll: the source gave %d events, %d were asked for", len(p.Events), limit)
	}
	return nil
}

// NotModified says whether the client holds this page already and 304 is the
// answer (RFC 9110 section 13.1.2): If-None-Match is * or has the page's tag, where
// a weak tag matches too.
func (r Request) NotModified(p Page) bool {
	rest := strings.TrimSpace(r.IfNoneMatch)
	if rest == "" {
		return false
	}
	if rest == "*" {
		return true
	}
	want := p.ETag()
	for {
		rest = strings.TrimLeft(rest, " \t,")
		rest = strings.TrimPrefix(rest, "W/")
		if rest == "" || rest[0] != '"' {
			return false // the end, or no list of tags
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return false
		}
		tag := rest[:end+2]
		if tag == want {
			return true
		}
		rest = rest[end+2:]
	}
}

// Settled says whether the page is worth answering now. If it is not, a request
// that may wait is held until there may be something after the page's cursor. A
// page that the client holds already is worth waiting for only while it can change,
// and one with more behind it cannot.
func (r Request) Settled(p Page) bool {
	return len(p.Events) > 0 && (p.More || !r.NotModified(p))
}

// First is the request as it is first read: one that may wait and names no place
// wants the next event from now.
func (r Request) First() Request {
	if r.After == "" && r.Wait > 0 {
		r.After = "latest"
	}
	return r
}

// Again is the request as it is read after a page that was not Settled. An empty
// page has led past everything up to its cursor; one that the client holds already
// is read anew from where it began.
func (r Request) Again(p Page) Request {
	if len(p.Events) == 0 {
		r.After = p.Cursor
	}
	return r
}
