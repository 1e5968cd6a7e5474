package valkey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/outage"
)

// Options of a Limiter. The zero value works.
type Options struct {
	// Name parts the limits in one store; default "limit".
	Name string
	// Outage is what is answered while the store is away; default Local.
	Outage Outage
	// Share is into how many parts the limit of Outage Local is cut, such as the
	// number of processes; default 1: the whole limit in each.
	Share int64
	// Timeout is how long one call waits for the store; default 100 ms.
	Timeout time.Duration
	// RetryEvery is how long the store is left alone after a failure; default
	// 250 ms.
	RetryEvery time.Duration
	// MaxRefusals is how many keys' refusals are remembered here; default 65,536,
	// −1 is none.
	MaxRefusals int
	// OnOutage is told when the store goes away, with the error, and when it is
	// back, with nil. It must not wait.
	OnOutage func(error)
}

// keepRefusal is how long a refusal is remembered at most: units that another
// process gives back are noticed after it.
const keepRefusal = time.Second

// Limiter applies one limit to each of many keys, over all processes that use the
// store. It is safe for concurrent use and starts no goroutine.
type Limiter struct {
	store    redis.Scripter
	limit    throttle.Limit // defaults filled in
	opt      Options
	script   *redis.Script
	numbers  []any // what the script is told of the limit
	most     int64 // the most that can be had at once
	local    *throttle.Limiter
	gate     outage.Gate
	refusals refusals

	asked, cached, away atomic.Uint64
}

// Stats are a limiter's counts; all only grow.
type Stats struct {
	Asked  uint64 // calls that the store answered
	Cached uint64 // refusals that were remembered
	Away   uint64 // calls that Options.Outage answered
}

// Stats gives the counts.
func (l *Limiter) Stats() Stats {
	return Stats{Asked: l.asked.Load(), Cached: l.cached.Load(), Away: l.away.Load()}
}

// Connect makes a client as a Limiter needs it: calls end with their context and
// are not repeated by the client. It connects when it is used.
func Connect(o *redis.UniversalOptions) redis.UniversalClient {
	own := *o
	own.ContextTimeoutEnabled, own.MaxRetries, own.DialerRetries = true, -1, 1
	return redis.NewUniversalClient(&own)
}

// New makes a limiter. Errors are Invalid and name the field.
func New(store redis.Scripter, limit throttle.Limit, o Options) (*Limiter, error) {
	rule, err := throttle.Compile(limit)
	if err != nil {
		return nil, parley.BadField("limit", err.Error(), "change the limit")
	}
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	if !bounded(store) {
		return nil, parley.BadField("store", "its calls do not end with their context", "make it by Connect, or set ContextTimeoutEnabled")
	}
	l := &Limiter{store: store, limit: rule.Limit(), opt: o, gate: outage.Gate{Every: o.RetryEvery}, refusals: refusals{most: o.MaxRefusals, all: map[string]refusal{}}}
	if err := l.compile(); err != nil {
		return nil, err
	}
	if o.Outage == Local {
		l.local, err = throttle.New(share(l.limit, o.Share), throttle.Options{Name: o.Name})
	}
	return l, err
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Timeout < 0 || o.RetryEvery < 0:
		return o, parley.BadField("timeout", "is negative", "leave it 0 for the default")
	case o.Share < 0:
		return o, parley.BadField("share", "is negative", "write the number of processes")
	case len(o.Name) > 100:
		return o, parley.BadField("name", "is over 100 bytes", "use a shorter one")
	}
	switch o.Outage {
	case "":
		o.Outage = Local
	case Local, Closed, Open, Report:
	default:
		return o, parley.BadField("outage", strconv.Quote(string(o.Outage))+" is no policy", "use local, closed, open or report")
	}
	if o.Name == "" {
		o.Name = "limit"
	}
	if o.Share == 0 {
		o.Share = 1
	}
	if o.Timeout == 0 {
		o.Timeout = 100 * time.Millisecond
	}
	if o.RetryEvery == 0 {
		o.RetryEvery = 250 * time.Millisecond
	}
	if o.MaxRefusals == 0 {
		o.MaxRefusals = 1 << 16
	}
	if o.OnOutage == nil {
		o.OnOutage = func(error) {}
	}
	return o, nil
}

// bounded says whether a client's calls end with their context, as far as that can
// be known.
func bounded(store redis.Scripter) bool {
	switch c := store.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	}
	return true
}

// exact is where Lua's numbers, their sums and their quotients are whole.
const exact = 1 << 50

// compile turns the limit into the numbers of a script.
func (l *Limiter) compile() error {
	micros := l.limit.Window.Microseconds()
	if l.limit.Quota == 0 || l.limit.Quota == throttle.Infinite {
		return nil // nobody has to be asked
	}
	if time.Duration(micros)*time.Microsecond != l.limit.Window {
		return parley.BadField("window", "is no whole number of microseconds", "round it")
	}
	switch l.limit.Algorithm {
	case throttle.FixedWindow:
		if l.limit.Quota > exact || micros > exact/2 {
			return parley.BadField("quota", "is more than a store can count exactly", "lower it")
		}
		l.script, l.most, l.numbers = window, l.limit.Quota, []any{micros, l.limit.Quota}
	case throttle.TokenBucket, throttle.LeakyMeter, throttle.GCRA:
		per, rate := micros, l.limit.Quota
		for a, b := per, rate; ; a, b = b, a%b {
			if b == 0 {
				per, rate = per/a, rate/a
				break
			}
		}
		if l.limit.Burst > exact/per || rate > exact/1000 {
			return parley.BadField("burst", "is more than a store can count exactly over this window", "lower it, or make the quota a round number of the window")
		}
		l.script, l.most, l.numbers = bucket, l.limit.Burst, []any{per, rate, l.limit.Burst * per}
	default:
		return parley.BadField("algorithm", string(l.limit.Algorithm)+" is not counted in a store", "use token-bucket, leaky-meter, gcra or fixed-window")
	}
	return nil
}

// share cuts a limit into parts; at least one unit is left.
func share(l throttle.Limit, parts int64) throttle.Limit {
	if l.Quota == 0 || l.Quota == throttle.Infinite || parts == 1 {
		return l
	}
	l.Burst = max(1, l.Burst/parts)
	l.Quota = max(1, l.Quota/parts)
	return l
}

// AllowN takes n units for key, all or none, and never waits in line. The error is
// the context's; an outage of the store is none, since Options.Outage answers, but
// for Report.
func (l *Limiter) AllowN(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	return l.ask(ctx, "take", key, n)
}

// Look says whether n units would be had, and takes nothing.
func (l *Limiter) Look(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	return l.ask(ctx, "look", key, n)
}

// Return gives back n units that were taken a moment ago, and says what there is.
func (l *Limiter) Return(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	return l.ask(ctx, "back", key, n)
}

func (l *Limiter) ask(ctx context.Context, op, key string, n int64) (throttle.Decision, error) {
	d := throttle.Decision{Cost: n, Limit: l.limit.Quota}
	switch {
	case n < 0:
		d.Reason = throttle.Impossible
		return d, nil
	case l.limit.Quota == 0:
		d.Reason = throttle.Closed
		return d, nil
	case l.limit.Quota == throttle.Infinite:
		d.OK, d.Remaining = true, throttle.Infinite
		return d, nil
	case n > l.most && op == "back":
		n = l.most
	case n > l.most:
		d.Reason = throttle.Impossible
		return d, nil
	}
	begin := time.Now()
	if op == "back" {
		l.refusals.forget(key)
	} else if f, left, known := l.refusals.find(key, n); known {
		l.cached.Add(1)
		d.Reason, d.Remaining, d.RetryAfter = throttle.Limited, f.remaining, left+l.spacing(n-f.cost)
		return d, nil
	}
	if !l.gate.Enter(begin) {
		return l.without(op, key, n, errAway)
	}
	answer, err := l.run(ctx, op, key, n)
	if err != nil && ctx.Err() != nil && !errors.Is(err, errTimeout) {
		return d, ctx.Err() // it says nothing about the store
	}
	if l.gate.Leave(err != nil, time.Now()) {
		l.opt.OnOutage(err)
	}
	if err != nil {
		return l.without(op, key, n, err)
	}
	l.asked.Add(1)
	d.OK, d.Remaining, d.RetryAfter, d.Reset = answer[0] == 1, answer[1], micro(answer[2]), micro(answer[3])
	if d.OK && op == "take" && n > 0 {
		l.refusals.forget(key) // what is left, and until when, is another now
	}
	if !d.OK {
		d.Reason = throttle.Limited
		// Counted from before the question: it cannot last longer here than there.
		until := begin.Add(min(d.RetryAfter, keepRefusal))
		l.refusals.add(key, refusal{cost: n, until: until, passes: begin.Add(d.RetryAfter), remaining: d.Remaining}, begin)
	}
	return d, nil
}

// spacing is how much later n units more pass.
func (l *Limiter) spacing(n int64) time.Duration {
	if l.script != bucket || n == 0 {
		return 0
	}
	per, rate := l.numbers[0].(int64), l.numbers[1].(int64)
	return micro((n*per-1)/rate + 1)
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

var (
	errAway    = errors.New("the store failed a moment ago")
	errTimeout = errors.New("the store did not answer in time")
	errAnswer  = errors.New("the store's answer is not understood")
)

// run asks the store, within Timeout.
func (l *Limiter) run(ctx context.Context, op, key string, n int64) ([]int64, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, l.opt.Timeout, errTimeout)
	defer cancel()
	args := append([]any{op}, l.numbers...)
	answer, err := l.script.Run(bounded, l.store, []string{l.key(key)}, append(args, n)...).Int64Slice()
	switch {
	case err != nil && errors.Is(context.Cause(bounded), errTimeout):
		return nil, errTimeout
	case err == nil && len(answer) != 4:
		return nil, errAnswer
	}
	return answer, err
}

// key is where a key's count is. Its hash tag keeps it on one node of a cluster.
func (l *Limiter) key(key string) string {
	if len(key) > 200 {
		sum := sha256.Sum256([]byte(key))
		key = "sha256:" + hex.EncodeToString(sum[:])
	}
	return "throttle:" + l.opt.Name + ":{" + key + "}"
}

// without answers without the store.
func (l *Limiter) without(op, key string, n int64, why error) (throttle.Decision, error) {
	l.away.Add(1)
	d := throttle.Decision{OK: true, Cost: n, Limit: l.limit.Quota}
	switch l.opt.Outage {
	case Report:
		return throttle.Decision{}, &parley.Error{Code: parley.Unavailable, Detail: "the store of the limits: " + why.Error(), Fix: "try again in a moment", Err: why}
	case Closed:
		d.OK, d.Reason, d.RetryAfter = op == "back", throttle.Limited, l.opt.RetryEvery
		if d.OK {
			d.Reason, d.RetryAfter = throttle.Granted, 0
		}
	case Local:
		switch op {
		case "take":
			d = l.local.AllowN(key, n)
		case "look":
			d = l.local.Look(key, n)
		default:
			l.local.Return(key, n)
			d = l.local.Peek(key)
		}
		if d.Reason == throttle.Impossible { // for the share, not for the limit
			d.Reason, d.RetryAfter = throttle.Limited, l.opt.RetryEvery
		}
	}
	return d, nil
}
