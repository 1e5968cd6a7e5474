package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
)

const (
	// try is how long one request waits for its answer: the servers drop requests
	// while they elect, without a word.
	try = time.Second
	// ackWait is how long a publish that cannot be sent again waits.
	ackWait = 5 * time.Second
	// patience bounds how long a call tries to reach the servers when its context
	// does not: longer than an election takes.
	patience = 15 * time.Second
)

// The waits between two tries, doubling.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// errNobody says that nobody got the request: the stream has no leader now.
var errNobody = errors.New("no server answers for the stream now")

// errLate says that no answer came in time: the request may have been carried out.
var errLate = errors.New("no answer in time")

// exchange sends requests and hands the answers to those who wait. All share one
// subscription and one timer.
type exchange struct {
	nc     *nats.Conn
	prefix string

	mu      sync.Mutex
	waiting map[uint64]*call
	last    uint64
	sweeper *time.Timer // runs while somebody waits

	calls sync.Pool // of *call
}

// call is one request under way, and is used again for others.
type call struct {
	first *nats.Msg
	more  []*nats.Msg
	until func(*nats.Msg) bool // says whether a message is the last answer; nil: the first is
	each  time.Duration        // how long it waits for the next message
	late  time.Time            // when it is given up
	done  chan bool            // true: all has come; false: it is late
}

// sweep is how often calls are looked at that may be late.
const sweep = 100 * time.Millisecond

func newExchange(nc *nats.Conn) (*exchange, error) {
	x := &exchange{nc: nc, prefix: nc.NewInbox() + ".", waiting: make(map[uint64]*call)}
	x.calls.New = func() any { return &call{done: make(chan bool, 1)} }
	sub, err := nc.Subscribe(x.prefix+"*", x.answer)
	if err != nil {
		return nil, err
	}
	return x, sub.SetPendingLimits(-1, -1) // bounded by what was asked for
}

// answer takes a message in.
func (x *exchange) answer(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(x.prefix):], 36, 64)
	if err != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.waiting[id]
	if c == nil {
		return // too late
	}
	if c.first == nil {
		c.first = m
	} else {
		c.more = append(c.more, m)
	}
	if c.until == nil || status(m) == 503 || c.until(m) {
		delete(x.waiting, id)
		c.done <- true
		return
	}
	c.late = time.Now().Add(c.each)
}

// begin makes a place for the answers to a request that is about to be sent. Each
// call that begins is cancelled or waited for.
func (x *exchange) begin(each time.Duration, until func(*nats.Msg) bool) (id uint64, reply string, c *call) {
	c = x.calls.Get().(*call) // the pool makes nothing else
	c.first, c.more, c.until, c.each, c.late = nil, nil, until, each, time.Now().Add(each)
	x.mu.Lock()
	x.last++
	id = x.last
	x.waiting[id] = c
	if len(x.waiting) == 1 {
		x.arm()
	}
	x.mu.Unlock()
	var buf [96]byte
	return id, string(strconv.AppendUint(append(buf[:0], x.prefix...), id, 36)), c
}

// arm has the calls looked at in a while. mu is held.
func (x *exchange) arm() {
	if x.sweeper == nil {
		x.sweeper = time.AfterFunc(sweep, x.sweep)
		return
	}
	x.sweeper.Reset(sweep)
}

// sweep ends the calls that are late.
func (x *exchange) sweep() {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	for id, c := range x.waiting {
		if now.After(c.late) {
			delete(x.waiting, id)
			c.done <- false
		}
	}
	if len(x.waiting) > 0 {
		x.arm()
	}
}

// cancel gives up a call that nobody waits for. False: it has ended meanwhile, and
// done tells how.
func (x *exchange) cancel(id uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, there := x.waiting[id]
	delete(x.waiting, id)
	return there
}

// drop gives up a call whose request was not sent.
func (x *exchange) drop(id uint64, c *call) {
	if !x.cancel(id) {
		<-c.done
	}
	x.calls.Put(c)
}

// wait waits for all answers, for as long as some come. The errors are errLate,
// errNobody and the context's. The call is over then.
func (x *exchange) wait(ctx context.Context, id uint64, c *call) (first *nats.Msg, more []*nats.Msg, err error) {
	whole := true
	select {
	case whole = <-c.done:
	case <-ctx.Done():
		if x.cancel(id) {
			x.calls.Put(c)
			return nil, nil, ctx.Err()
		}
		whole = <-c.done
	}
	first, more = c.first, c.more
	c.first, c.more, c.until = nil, nil, nil
	x.calls.Put(c)
	if !whole {
		return nil, nil, errLate
	}
	last := first
	if len(more) > 0 {
		last = more[len(more)-1]
	}
	if status(last) == 503 {
		return nil, nil, errNobody
	}
	return first, more, nil
}

// ask sends one request and waits for its answers, once.
func (x *exchange) ask(ctx context.Context, subject string, body []byte, until func(*nats.Msg) bool) (*nats.Msg, []*nats.Msg, error) {
	id, reply, c := x.begin(try, until)
	if err := x.nc.PublishRequest(subject, reply, body); err != nil {
		x.drop(id, c)
		return nil, nil, errNobody
	}
	return x.wait(ctx, id, c)
}

// repeat calls once until it is decided, the context ends or patience does; once
// answers whether it makes sense to try again. It is for what may be done twice.
func repeat(ctx context.Context, once func(ctx context.Context) (again bool, err error)) error {
	begun := time.Now()
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		again, err := once(ctx)
		if !again {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(begun) > patience {
			return unavailable(err)
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

func unavailable(cause error) error {
	return &parley.Error{Code: parley.Unavailable, Detail: "the NATS servers do not answer for the log now", Fix: "ask again", RetryAfter: time.Second, Err: cause}
}

// pause waits; false means that the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// api calls JetStream's API, repeatedly until it is answered. It is for calls
// that may be carried out twice. An answer that is an error becomes an *apiError.
func (x *exchange) api(ctx context.Context, subject string, request, answer any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
	}
	return repeat(ctx, func(ctx context.Context) (bool, error) {
		m, _, err := x.ask(ctx, "$JS.API."+subject, body, nil)
		if err != nil {
			return true, err
		}
		var failed struct {
			Error *apiError `json:"error"`
		}
		if err := json.Unmarshal(m.Data, &failed); err != nil {
			return false, parley.Errorf(parley.Internal, "JetStream's answer to %s is no JSON: %w", subject, err)
		}
		if e := failed.Error; e != nil {
			return e.Code >= 500 && (e.ErrCode == codeNotLeader || e.ErrCode == 10008), e
		}
		if answer == nil {
			return false, nil
		}
		return false, json.Unmarshal(m.Data, answer)
	})
}

// apiCode gives JetStream's code of an error; 0 when it is none of JetStream's.
func apiCode(err error) int {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.ErrCode
	}
	return 0
}
