package main

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"golang.org/x/time/rate"

	"github.com/parleyhq/parley/pattern/throttle"
)

// limiter is one of those that are compared.
type limiter struct {
	allow func(key string) bool
	stop  func()
}

// subject makes a limiter of so many units a window for so many keys.
type subject struct {
	name string
	make func(quota int64, window time.Duration, keys int) (limiter, error)
}

// subjects are in the order of the tables. The first two are the same, so that
// their difference says what a difference is worth.
func subjects() []subject {
	bucket := func(quota int64, window time.Duration, keys int) (limiter, error) {
		return ours(throttle.Limit{Algorithm: throttle.TokenBucket, Quota: quota, Window: window, Burst: quota}, keys)
	}
	return []subject{
		{"parley token-bucket", bucket},
		{"parley token-bucket again", bucket},
		{"parley gcra", func(quota int64, window time.Duration, keys int) (limiter, error) {
			return ours(throttle.NewGCRA(quota, window, quota), keys)
		}},
		{"x/time/rate", timeRate},
		{"throttled v2", throttledV2},
		{"go-limiter", goLimiter},
	}
}

func nothing() {}

func ours(limit throttle.Limit, keys int) (limiter, error) {
	l, err := throttle.New(limit, throttle.Options{MaxKeys: 2 * keys})
	if err != nil {
		return limiter{}, err
	}
	return limiter{l.Allow, nothing}, nil
}

// timeRate is golang.org/x/time/rate. It has no keys: for one key it is the bare
// limiter, for many a map from key to limiter, as its users write it.
func timeRate(quota int64, window time.Duration, keys int) (limiter, error) {
	perSecond := rate.Limit(float64(quota) / window.Seconds())
	if keys == 1 {
		one := rate.NewLimiter(perSecond, int(quota))
		return limiter{func(string) bool { return one.Allow() }, nothing}, nil
	}
	var mu sync.RWMutex
	all := make(map[string]*rate.Limiter)
	return limiter{func(key string) bool {
		mu.RLock()
		one := all[key]
		mu.RUnlock()
		if one == nil {
			mu.Lock()
			if one = all[key]; one == nil {
				one = rate.NewLimiter(perSecond, int(quota))
				all[key] = one
			}
			mu.Unlock()
		}
		return one.Allow()
	}, nothing}, nil
}

// throttledV2 is throttled's GCRA over its store in memory, without its LRU, which
// would make it slower.
func throttledV2(quota int64, window time.Duration, _ int) (limiter, error) {
	store, err := memstore.NewCtx(0)
	if err != nil {
		return limiter{}, err
	}
	l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerDuration(int(quota), window), MaxBurst: int(quota) - 1})
	if err != nil {
		return limiter{}, err
	}
	ctx := context.Background()
	return limiter{func(key string) bool {
		limited, _, err := l.RateLimitCtx(ctx, key, 1)
		return err == nil && !limited
	}, nothing}, nil
}

func goLimiter(quota int64, window time.Duration, _ int) (limiter, error) {
	store, err := memorystore.New(&memorystore.Config{Tokens: uint64(quota), Interval: window})
	if err != nil {
		return limiter{}, err
	}
	ctx := context.Background()
	return limiter{func(key string) bool {
		_, _, _, ok, err := store.Take(ctx, key)
		return err == nil && ok
	}, func() { _ = store.Close(ctx) }}, nil
}

func name(i int) string { return "client-" + strconv.Itoa(i) }

// shuffled gives all names in an order of chance, their bytes one after another.
func shuffled(n int, seed uint64) []string {
	order := rand.New(rand.NewPCG(seed, seed)).Perm(n)
	out := make([]string, n)
	for i, at := range order {
		out[i] = name(at)
	}
	return out
}
