package poll

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

// Options steers a Handler. The zero value is good.
type Options struct {
	// Hint is how long a short poller shall wait before it asks again. It is sent as
	// max-age, so that a cache answers those who do not, and as Retry-After. 0 sends
	// neither: each poll is checked with the source.
	Hint time.Duration
	// Public lets shared caches keep answers. Leave it false if who asks matters.
	Public bool
	// MaxHeld bounds the requests held at one time; one more is refused as
	// Overloaded. 0 means 10,000.
	MaxHeld int
	// Error writes the answer to a request that failed; nil means a problem document
	// (RFC 9457).
	Error func(w http.ResponseWriter, r *http.Request, err error)
}

// answerTime is how long a held request's answer may take to write. The server's
// own WriteTimeout began with the request and may be over by then.
const answerTime = 10 * time.Second

// Handler answers GET and HEAD with what src holds; see ParseQuery for what can be
// asked and AppendPage for the answer. When the server ends a request's context
// while it is held, as on shutdown, it is answered with what there is: an empty
// list, from whose cursor the client goes on elsewhere.
func Handler(src Source, o Options) http.Handler {
	if o.MaxHeld <= 0 {
		o.MaxHeld = 10_000
	}
	if o.Error == nil {
		o.Error = writeProblem
	}
	return &handler{src: src, o: o}
}

// HandlerFunc is Handler over a function, which held requests call once a second.
func HandlerFunc(read ReadFunc) http.Handler { return Handler(Every(0, read), Options{}) }

type handler struct {
	src  Source
	o    Options
	held atomic.Int64
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, page, err := h.answer(r)
	switch {
	case err != nil && r.Context().Err() != nil:
		return // nobody is there to hear it
	case err != nil:
		h.o.Error(w, r, err)
		return
	}
	if req.Wait > 0 {
		// A writer without deadlines has no server timeout to lift either.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	}
	status := SetHeader(w.Header(), req, page, h.o)
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	body := AppendPage(nil, page)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // whoever has gone asks again from the same cursor
	}
}

func (h *handler) answer(r *http.Request) (Request, Page, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Request{}, Page{}, &parley.Error{
			Code:   parley.MethodNotAllowed,
			Detail: "events are polled with GET", Fix: "send GET or HEAD",
		}
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Request{}, Page{}, parley.BadField("query", "not a query string", "percent-encode its values")
	}
	req, err := ParseQuery(q, r.Header)
	if err != nil {
		return Request{}, Page{}, err
	}
	page, err := h.read(r.Context(), req.First())
	return req, page, err
}

// read reads until there is something worth answering, or the wait is over.
func (h *handler) read(ctx context.Context, req Request) (Page, error) {
	page, err := h.readOnce(ctx, req)
	if err != nil || req.Wait == 0 || req.Settled(page) {
		return page, err
	}
	if h.held.Add(1) > int64(h.o.MaxHeld) {
		h.held.Add(-1)
		return Page{}, &parley.Error{
			Code: parley.Overloaded, Detail: "too many requests are held",
			Fix: "try again later, or poll without wait", RetryAfter: time.Second,
		}
	}
	defer h.held.Add(-1)
	wait, cancel := context.WithTimeout(ctx, req.Wait)
	defer cancel()
	for {
		err := h.src.Wait(wait, page.Cursor)
		if wait.Err() != nil {
			return page, nil
		}
		if err != nil {
			return Page{}, err
		}
		req = req.Again(page)
		if page, err = h.readOnce(ctx, req); err != nil || req.Settled(page) {
			return page, err
		}
	}
}

func (h *handler) readOnce(ctx context.Context, req Request) (Page, error) {
	page, err := h.src.Read(ctx, req.After, req.Limit)
	if err != nil {
		return Page{}, err
	}
	return page, page.Check(req.Limit)
}

// SetHeader puts the head of the answer to req into h and returns its status: 304
// when the client holds the page, which then has no body, else 200. Both have the
// same ETag, Cache-Control and Vary (RFC 9110 section 15.4.5).
func SetHeader(h http.Header, req Request, p Page, o Options) int {
	scope := "private"
	if o.Public {
		scope = "public"
	}
	seconds := int64((o.Hint + time.Second - 1) / time.Second)
	short := req.Wait == 0 && seconds > 0
	if short {
		h.Set("Cache-Control", scope+", max-age="+strconv.FormatInt(seconds, 10))
	} else {
		h.Set("Cache-Control", scope+", no-cache")
	}
	if short && !p.More {
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	h.Set("ETag", p.ETag())
	h.Add("Vary", "Prefer")
	if req.Applied != "" {
		h.Set("Preference-Applied", req.Applied)
	}
	if req.NotModified(p) {
		return http.StatusNotModified
	}
	h.Set("Content-Type", "application/json")
	return http.StatusOK
}
