package envoyrls

import (
	"math"
	"strconv"
	"strings"
	"time"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Config is one domain, as the reference implementation's files have it.
type Config struct {
	Domain      string       `yaml:"domain"`
	Descriptors []Descriptor `yaml:"descriptors"`
}

// Descriptor is one level of a domain.
type Descriptor struct {
	Key string `yaml:"key"`
	// Value is matched exactly, or as a prefix if it ends in "*"; empty matches all
	// that nothing else of the level does.
	Value       string       `yaml:"value"`
	RateLimit   *RateLimit   `yaml:"rate_limit"`
	Descriptors []Descriptor `yaml:"descriptors"`
	// ShadowMode only counts what would be refused.
	ShadowMode bool `yaml:"shadow_mode"`
	// ShareThreshold makes all values that a "*" matches share one count.
	ShareThreshold bool `yaml:"share_threshold"`
	// DetailedMetric is taken and has no meaning here: metrics are by the names of
	// limits, never by values that came.
	DetailedMetric bool `yaml:"detailed_metric"`
}

// RateLimit is how much.
type RateLimit struct {
	// Name is told to Envoy, and is what Replaces refers to.
	Name string `yaml:"name"`
	// Unit is second, minute, hour, day, week, month or year.
	Unit            string `yaml:"unit"`
	RequestsPerUnit uint32 `yaml:"requests_per_unit"`
	// Unlimited is a match that is always OK; without the two above.
	Unlimited bool `yaml:"unlimited"`
	// Replaces are limits that do not count when this one does in the same request.
	Replaces []Replaced `yaml:"replaces"`
}

// Replaced names a limit.
type Replaced struct {
	Name string `yaml:"name"`
}

const (
	day = 24 * time.Hour
	// maxDepth and maxNodes bound what a configuration may hold.
	maxDepth = 16
	maxNodes = 100_000
)

// units by their names in lower case.
var units = map[string]rls.RateLimitResponse_RateLimit_Unit{
	"second": rls.RateLimitResponse_RateLimit_SECOND, "minute": rls.RateLimitResponse_RateLimit_MINUTE, "hour": rls.RateLimitResponse_RateLimit_HOUR,
	"day": rls.RateLimitResponse_RateLimit_DAY, "week": rls.RateLimitResponse_RateLimit_WEEK, "month": rls.RateLimitResponse_RateLimit_MONTH, "year": rls.RateLimitResponse_RateLimit_YEAR,
}

// windows are the lengths of units.
var windows = map[rls.RateLimitResponse_RateLimit_Unit]time.Duration{
	rls.RateLimitResponse_RateLimit_SECOND: time.Second, rls.RateLimitResponse_RateLimit_MINUTE: time.Minute, rls.RateLimitResponse_RateLimit_HOUR: time.Hour,
	rls.RateLimitResponse_RateLimit_DAY: day, rls.RateLimitResponse_RateLimit_WEEK: 7 * day, rls.RateLimitResponse_RateLimit_MONTH: 30 * day, rls.RateLimitResponse_RateLimit_YEAR: 365 * day,
}

// node is a level of a domain: what follows an entry that matched.
type node struct {
	exact     map[entry]*node
	prefixes  []prefix // in the order of the configuration
	byKey     map[string]*node
	limit     *rule
	sharedKey string // with share_threshold: the value that is counted by
}

type entry struct{ key, value string }

type prefix struct {
	key, value string // without the "*"
	node       *node
}

// rule is a limit at work.
type rule struct {
	name      string // of the limit, "" if it has none
	metric    string
	unit      rls.RateLimitResponse_RateLimit_Unit
	perUnit   uint32
	unlimited bool
	shadow    bool
	replaces  []string
	limiter   *throttle.Limiter
}

func newRule(metric string, unit rls.RateLimitResponse_RateLimit_Unit, perUnit uint32) (*rule, error) {
	r := &rule{metric: metric, unit: unit, perUnit: perUnit}
	var err error
	r.limiter, err = throttle.New(throttle.NewFixedWindow(int64(perUnit), windows[unit]), throttle.Options{Name: metric})
	return r, err
}

// compiler turns a configuration into nodes.
type compiler struct{ nodes int }

func (c *compiler) level(at *node, path, field string, list []Descriptor, depth int) error {
	if depth > maxDepth {
		return parley.BadField(field, "is deeper than "+strconv.Itoa(maxDepth)+" levels", "use fewer")
	}
	for i := range list {
		d, here := &list[i], field+"["+strconv.Itoa(i)+"]"
		if c.nodes++; c.nodes > maxNodes {
			return parley.BadField(here, "is one of more than "+strconv.Itoa(maxNodes), "use fewer")
		}
		next, err := at.add(d, here)
		if err != nil {
			return err
		}
		below := path + "." + d.Key
		if d.Value != "" {
			below += "_" + d.Value
		}
		if next.limit, err = d.rule(below, here+".rate_limit"); err != nil {
			return err
		}
		if err := c.level(next, below, here+".descriptors", d.Descriptors, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// add makes the node of a descriptor below at.
func (n *node) add(d *Descriptor, field string) (*node, error) {
	wild := strings.HasSuffix(d.Value, "*")
	twice := false
	switch next := new(node); {
	case d.Key == "":
		return nil, parley.BadField(field+".key", "is empty", "name the key of an entry")
	case d.ShareThreshold && !wild:
		return nil, parley.BadField(field+".share_threshold", "has nothing to share", `use it with a value that ends in "*"`)
	case wild:
		value := strings.TrimSuffix(d.Value, "*")
		for _, p := range n.prefixes {
			twice = twice || p.key == d.Key && p.value == value
		}
		if d.ShareThreshold {
			next.sharedKey = d.Value
		}
		if !twice {
			n.prefixes = append(n.prefixes, prefix{d.Key, value, next})
			return next, nil
		}
	case d.Value == "":
		if twice = n.byKey[d.Key] != nil; !twice {
			n.byKey = put(n.byKey, d.Key, next)
			return next, nil
		}
	default:
		at := entry{d.Key, d.Value}
		if twice = n.exact[at] != nil; !twice {
			n.exact = put(n.exact, at, next)
			return next, nil
		}
	}
	return nil, parley.BadField(field, "the key "+strconv.Quote(d.Key)+" comes twice with the value "+strconv.Quote(d.Value), "remove one of them")
}

func put[K comparable](m map[K]*node, k K, n *node) map[K]*node {
	if m == nil {
		m = map[K]*node{}
	}
	m[k] = n
	return m
}

// rule makes the limit of a descriptor; nil if it has none.
func (d *Descriptor) rule(metric, field string) (*rule, error) {
	l := d.RateLimit
	if l == nil {
		return nil, nil
	}
	unit, known := units[strings.ToLower(l.Unit)]
	var r *rule
	var err error
	switch {
	case l.Unlimited && (l.Unit != "" || l.RequestsPerUnit != 0):
		return nil, parley.BadField(field+".unlimited", "stands beside a unit or requests_per_unit", "keep one of the two")
	case l.Unlimited:
		r = &rule{metric: metric, unlimited: true}
	case !known:
		return nil, parley.BadField(field+".unit", strconv.Quote(l.Unit)+" is no unit", "use second, minute, hour, day, week, month or year")
	default:
		if r, err = newRule(metric, unit, l.RequestsPerUnit); err != nil {
			return nil, parley.BadField(field, err.Error(), "change the limit")
		}
	}
	r.name, r.shadow = l.Name, d.ShadowMode
	for i, other := range l.Replaces {
		if other.Name == "" || other.Name == l.Name {
			return nil, parley.BadField(field+".replaces["+strconv.Itoa(i)+"].name", "is empty, or its own", "name another limit")
		}
		r.replaces = append(r.replaces, other.Name)
	}
	return r, nil
}

// match finds the node of an entry.
func (n *node) match(key, value string) *node {
	if next := n.exact[entry{key, value}]; next != nil {
		return next
	}
	for i := range n.prefixes {
		if p := &n.prefixes[i]; p.key == key && strings.HasPrefix(value, p.value) {
			return p.node
		}
	}
	return n.byKey[key]
}

const unlimitedRemaining = math.MaxUint32
