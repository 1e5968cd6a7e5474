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
// subscription.
type exchange struct {
	nc     *nats.Conn
	prefix string

	mu      sync.Mutex
	waiting map[uint64]*call
	last    uint64
}

// call is one request under way.
type call struct {
	msgs  []*nats.Msg
	last  func(*nats.Msg) bool // says whether a message is the last answer; nil: the first is
	touch uint64               // counts messages
	done  chan struct{}
}

func newExchange(nc *nats.Conn) (*exchange, error) {
	x := &exchange{nc: nc, prefix: nc.NewInbox() + ".", waiting: make(map[uint64]*call)}
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
	c.msgs = append(c.msgs, m)
	c.touch++
	if c.last == nil || status(m) == 503 || c.last(m) {
		delete(x.waiting, id)
		close(c.done)
	}
}

// begin makes a place for the answers to a request that is about to be sent.
func (x *exchange) begin(last func(*nats.Msg) bool) (id uint64, reply string, c *call) {
	c = &call{last: last, done: make(chan struct{})}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last++
	x.waiting[x.last] = c
	var buf [96]byte
	return x.last, string(strconv.AppendUint(append(buf[:0], x.prefix...), x.last, 36)), c
}

// cancel gives up; what came so far is dropped. False: all has come after all.
func (x *exchange) cancel(id uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, there := x.waiting[id]
	delete(x.waiting, id)
	return there
}

// progress counts the messages that came so far.
func (x *exchange) progress(c *call) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return c.touch
}

// wait waits for all answers, for as long as some come. The errors are errLate,
// errNobody and the context's.
func (x *exchange) wait(ctx context.Context, id uint64, c *call, each time.Duration) ([]*nats.Msg, error) {
	timer := time.NewTimer(each)
	defer timer.Stop()
	for seen := uint64(0); ; {
		select {
		case <-c.done:
			return answered(c)
		case <-ctx.Done():
			if !x.cancel(id) {
				return answered(c)
			}
			return nil, ctx.Err()
		case <-timer.C:
			now := x.progress(c)
			if now != seen {
				seen = now
				timer.Reset(each)
				continue
			}
			if !x.cancel(id) {
				return answered(c)
			}
			return nil, errLate
		}
	}
}

func answered(c *call) ([]*nats.Msg, error) {
	if status(c.msgs[len(c.msgs)-1]) == 503 {
		return nil, errNobody
	}
	return c.msgs, nil
}

// ask sends one request and waits for its answers, once.
func (x *exchange) ask(ctx context.Context, subject string, body []byte, last func(*nats.Msg) bool) ([]*nats.Msg, error) {
	id, reply, c := x.begin(last)
	if err := x.nc.PublishRequest(subject, reply, body); err != nil {
		x.cancel(id)
		return nil, errNobody
	}
	return x.wait(ctx, id, c, try)
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
		msgs, err := x.ask(ctx, "$JS.API."+subject, body, nil)
		if err != nil {
			return true, err
		}
		var failed struct {
			Error *apiError `json:"error"`
		}
		if err := json.Unmarshal(msgs[0].Data, &failed); err != nil {
			return false, parley.Errorf(parley.Internal, "JetStream's answer to %s is no JSON: %w", subject, err)
		}
		if e := failed.Error; e != nil {
			return e.Code >= 500 && (e.ErrCode == codeNotLeader || e.ErrCode == 10008), e
		}
		if answer == nil {
			return false, nil
		}
		return false, json.Unmarshal(msgs[0].Data, answer)
	})
}

// apiCode gives JetStream's code of an error; 0 when it is none of JetStream's.
func apiCode(err error) int {
	var e *apiError
	if errors.As(err, &e) {
		return e.ErrCode
	}
	return 0
}
