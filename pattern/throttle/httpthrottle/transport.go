package httpthrottle

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

// Transport is an [http.RoundTripper] that goes easy on servers. The zero value
// works. It
//
//   - paces its own requests with Limiter, one line a host, before the server
//     has to say anything;
//   - after a 429 or 503 sends nothing to that host until Retry-After is over,
//     and then sends the request again, if it can be sent again: a 429 was not
//     processed, so any method, a 503 only GET, HEAD, OPTIONS, TRACE, PUT and DELETE;
//   - after an answer whose RateLimit field says that nothing remains sends
//     nothing until its t has passed.
//
// A pause longer than MaxPause is not sat out: the answer goes to the caller,
// and requests to that host fail at once with a [throttle.Error] until it is
// over.
type Transport struct {
	// Base sends; nil means http.DefaultTransport.
	Base http.RoundTripper
	// Limiter is the pace, for each key; nil means none. A place inside (a Concurrency
	// limit) is left when the answer's body is closed or read to its end.
	Limiter *throttle.Limiter
	// Key is what is paced and paused together; nil means URL.Host.
	Key func(*http.Request) string
	// Retries is how often a refused request is sent again; 0 means twice,
	// negative never.
	Retries int
	// MaxPause is the longest pause to sit out; 0 means 1 min.
	MaxPause time.Duration

	mu     sync.Mutex
	pauses map[string]time.Time
}

// maxPauses is how many hosts' pauses are remembered. Beyond it the one that
// ends first is forgotten.
const maxPauses = 4096

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	key := r.URL.Host
	if t.Key != nil {
		key = t.Key(r)
	}
	retries := t.Retries
	if retries == 0 {
		retries = 2
	}
	for attempt := 0; ; attempt++ {
		permit, err := t.turn(r, key)
		if err != nil {
			closeBody(r)
			return nil, err
		}
		resp, err := t.base().RoundTrip(r)
		if err != nil {
			permit.Overloaded()
			return nil, err
		}
		pause := t.learn(key, resp, attempt)
		var next *http.Request
		if attempt < retries && pause <= t.maxPause() {
			next = again(r, resp)
		}
		if next == nil {
			t.hand(resp, permit)
			return resp, nil
		}
		drain(resp)
		permit.Overloaded()
		r = next
	}
}

// hand makes the end of the body the end of the request. A connection that
// changes its protocol is on its own from here: its body must stay writable.
func (t *Transport) hand(resp *http.Response, permit throttle.Permit) {
	switch {
	case t.Limiter == nil:
	case resp.StatusCode == http.StatusSwitchingProtocols:
		permit.Release()
	default:
		resp.Body = &leavingBody{ReadCloser: resp.Body, permit: permit, overloaded: refused(resp)}
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

func (t *Transport) maxPause() time.Duration {
	if t.MaxPause > 0 {
		return t.MaxPause
	}
	return time.Minute
}

// turn waits for the end of a pause and then for the own pace.
func (t *Transport) turn(r *http.Request, key string) (throttle.Permit, error) {
	for {
		t.mu.Lock()
		left := time.Until(t.pauses[key])
		t.mu.Unlock()
		if left <= 0 {
			break
		}
		end, bounded := r.Context().Deadline()
		if left > t.maxPause() || (bounded && time.Until(end) < left) {
			return throttle.Permit{}, &throttle.Error{Name: key, Reason: throttle.TooLate, RetryAfter: left}
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return throttle.Permit{}, r.Context().Err()
		}
	}
	if t.Limiter == nil {
		return throttle.Permit{}, nil
	}
	return t.Limiter.Acquire(r.Context(), key, 1)
}

// refused says whether an answer means: not now.
func refused(resp *http.Response) bool {
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
}

// learn remembers the pause that an answer asks for and returns it. A refusal
// without Retry-After means 1, 2, 4 … seconds.
func (t *Transport) learn(key string, resp *http.Response, attempt int) time.Duration {
	var pause time.Duration
	for _, q := range ParseRateLimit(resp.Header) {
		if q.Remaining == 0 {
			pause = max(pause, q.Reset)
		}
	}
	if refused(resp) {
		// Retry-After wins over RateLimit.
		if after, ok := ParseRetryAfter(resp.Header, time.Now()); ok {
			pause = after
		} else if pause == 0 {
			pause = time.Second << min(attempt, 10)
		}
	}
	if pause <= 0 {
		return 0
	}
	until := time.Now().Add(pause)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pauses == nil {
		t.pauses = map[string]time.Time{}
	}
	if _, known := t.pauses[key]; !known && len(t.pauses) >= maxPauses {
		t.forget()
	}
	if until.After(t.pauses[key]) {
		t.pauses[key] = until
	}
	return pause
}

// forget drops the pauses that are over, or else the one that ends first.
func (t *Transport) forget() {
	now := time.Now()
	first := ""
	for key, until := range t.pauses {
		if !until.After(now) {
			delete(t.pauses, key)
		} else if first == "" || until.Before(t.pauses[first]) {
			first = key
		}
	}
	if len(t.pauses) >= maxPauses {
		delete(t.pauses, first)
	}
}

// again is the request to be sent after a refusal, nil if there was none or it
// cannot be sent twice.
func again(r *http.Request, resp *http.Response) *http.Request {
	if !refused(resp) {
		return nil
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		switch r.Method {
		case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		default:
			return nil
		}
	}
	next := r.Clone(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		return next
	}
	if r.GetBody == nil {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	next.Body = body
	return next
}

// drain reads a little of a body that nobody wants, so that the connection can
// be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// leavingBody gives the place inside back with the end of the body.
type leavingBody struct {
	io.ReadCloser
	permit     throttle.Permit
	overloaded bool
	once       sync.Once
}

func (b *leavingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.leave()
	}
	return n, err
}

// Close closes the body and leaves.
func (b *leavingBody) Close() error {
	b.leave()
	return b.ReadCloser.Close()
}

func (b *leavingBody) leave() {
	b.once.Do(func() {
		if b.overloaded {
			b.permit.Overloaded()
		} else {
			b.permit.Release()
		}
	})
}
