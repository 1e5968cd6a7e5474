package policy

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Definition is a limit as people write it. Members left out have the defaults
// that are named; a definition that is shown has all of them.
type Definition struct {
	// Limit is how much, as throttle.ParseLimit reads it: "100/1m burst=20",
	// "concurrency 100". It may begin with the algorithm.
	Limit string `json:"limit"`
	// Algorithm is one of those of package throttle; default token-bucket, or what
	// Limit begins with.
	Algorithm string `json:"algorithm,omitempty"`
	// Key is what requests are counted by: ip, token, topic, path, route, everyone
	// or header:NAME, or several joined by "+". Default ip. Checks bring their own.
	Key string `json:"key,omitempty"`
	// On is what the limit is applied to: publish, subscribe, poll, enqueue, work or
	// request (all of them, and everything else), each on the topics or queues of a
	// pattern if one follows, as in publish:orders.>. Empty: to nothing but checks.
	On []string `json:"on,omitempty"`
	// Mode is enforce, the default, or shadow: then it is only counted what would
	// be refused.
	Mode string `json:"mode,omitempty"`
	// Action is reject, the default, or shape: then a request waits its turn, first
	// in, first out for each key.
	Action string `json:"action,omitempty"`
	// MaxWait is the longest that a request is made to wait, as Go writes
	// durations: 1ms to 30s, default 10s. Only with shape.
	MaxWait string `json:"max_wait,omitempty"`
}

// Words of a Definition.
const (
	Enforce, Shadow = "enforce", "shadow"
	Reject, Shape   = "reject", "shape"
)

// Bounds of a Definition.
const (
	maxOn       = 32
	maxKey      = 256
	defaultWait = 10 * time.Second
	longestWait = 30 * time.Second // below what clients commonly wait for an answer
)

// limit is a definition at work.
type limit struct {
	name    string
	def     Definition // complete
	origin  Origin
	changed time.Time
	limiter *throttle.Limiter
	shared  *shared // nil = this node counts for itself
	tally   *tally
	key     key
	on      []target
	wait    time.Duration
	shadow  bool
	shape   bool
	held    bool
}

// Check tells whether a definition can be, and completes it. Errors are Invalid
// and name the member.
func (d Definition) Check() (Definition, error) {
	l, err := compile("", d, nil)
	if err != nil {
		return d, err
	}
	return l.def, nil
}

// compile makes a limit without its limiter.
func compile(name string, d Definition, trusted []netip.Prefix) (*limit, error) {
	l := &limit{name: name}
	parsed, err := d.parse()
	if err != nil {
		return nil, err
	}
	l.held = parsed.Algorithm == throttle.Concurrency || parsed.Algorithm == throttle.Adaptive
	if l.key, err = parseKey(d.Key, trusted); err != nil {
		return nil, err
	}
	if l.on, err = parseTargets(d.On); err != nil {
		return nil, err
	}
	if l.shadow, err = either("mode", d.Mode, Enforce, Shadow); err != nil {
		return nil, err
	}
	if l.shape, err = either("action", d.Action, Reject, Shape); err != nil {
		return nil, err
	}
	if err := l.waits(d.MaxWait); err != nil {
		return nil, err
	}
	l.def = Definition{Limit: spell(parsed), Algorithm: string(parsed.Algorithm), Key: l.key.text, On: slices.Clone(d.On), Mode: Enforce, Action: Reject}
	if l.shadow {
		l.def.Mode = Shadow
	}
	if l.shape {
		l.def.Action, l.def.MaxWait = Shape, l.wait.String()
	}
	return l, nil
}

// spell writes a limit without its algorithm, which has a member of its own.
func spell(l throttle.Limit) string {
	text := l.String()
	return strings.TrimPrefix(text, string(l.Algorithm)+" ")
}

// parse reads the limit with its algorithm.
func (d Definition) parse() (throttle.Limit, error) {
	const fix = `write it like "100/1m burst=20", or "5/1h" with the algorithm sliding-log`
	text := strings.TrimSpace(d.Limit)
	if text == "" {
		return throttle.Limit{}, parley.BadField("limit", "is empty", fix)
	}
	if first, _, more := strings.Cut(text, " "); d.Algorithm != "" && !(more && first == d.Algorithm) {
		text = d.Algorithm + " " + text
	}
	l, err := throttle.ParseLimit(text)
	if err != nil {
		return l, parley.BadField("limit", strings.TrimPrefix(err.Error(), "throttle: "), fix)
	}
	if l.Algorithm == throttle.Adaptive && l.Target == 0 {
		return l, parley.BadField("limit", "an adaptive limit without target= never learns of overload here", "write it like \"adaptive 20 max=200 target=300ms\"")
	}
	rule, err := throttle.Compile(l)
	if err != nil {
		return l, parley.BadField("limit", strings.TrimPrefix(err.Error(), "throttle: "), fix)
	}
	return rule.Limit(), nil
}

// either reads a word that is one of two; empty is the first.
func either(field, text, first, second string) (isSecond bool, err error) {
	switch text {
	case "", first:
		return false, nil
	case second:
		return true, nil
	}
	return false, parley.BadField(field, strconv.Quote(text)+" is neither "+first+" nor "+second, "write "+first+" or "+second)
}

func (l *limit) waits(text string) error {
	const fix = "write a time from 1ms to 30s, such as 5s"
	if text == "" {
		l.wait = defaultWait
		return nil
	}
	if !l.shape {
		return parley.BadField("max_wait", "is for limits that make requests wait", "set action to shape, or leave max_wait out")
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > longestWait {
		return parley.BadField("max_wait", strconv.Quote(text)+" is not a time that a request may wait", fix)
	}
	l.wait = d
	return nil
}

// CheckName tells whether a limit can be called so: letters, digits, "_" and "-"
// in levels separated by dots, at most 100 bytes. Error: Invalid.
func CheckName(name string) error {
	err := topic.CheckName(name)
	if err == nil && !topic.IsEphemeral(name) && len(name) <= 100 {
		return nil
	}
	const fix = `send letters, digits, "_" and "-" in levels separated by dots, at most 100 bytes`
	detail := strconv.Quote(name[:min(len(name), 100)]) + " is no name of a limit"
	var e *parley.Error
	if errors.As(err, &e) && e.Code == parley.Invalid {
		detail = e.Detail
	}
	return parley.BadField("limit", detail, fix)
}
