package sse

import "net/http"

// ContentType is the media type of a stream of events.
const ContentType = "text/event-stream"

// SetHeader puts the head of a stream into h for a client that speaks proto, as
// http.Request.Proto names it. no-transform and X-Accel-Buffering keep proxies from
// compressing or collecting what must arrive now. Connection is for HTTP/1.1 only:
// HTTP/2 forbids it (RFC 9113 section 8.2.2).
func SetHeader(h http.Header, proto string) {
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Del("Content-Length")
	if proto == "HTTP/1.1" {
		h.Set("Connection", "keep-alive")
	}
}

// LastEventID gives the id that a client wants to go on from. The Last-Event-ID
// header beats the query: a browser sends it when it reconnects to a URL whose
// query still names the place where the page once began. The query members
// last_event_id and lastEventId are for a first connection, where a browser
// cannot set the header. Empty means that the client named none.
func LastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	q := r.URL.Query()
	if id := q.Get("last_event_id"); id != "" {
		return id
	}
	return q.Get("lastEventId")
}

// Stop tells a client to stop for good: 204, after which no EventSource
// reconnects. Any other way of ending a stream makes it come back.
func Stop(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }
