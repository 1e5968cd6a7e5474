// Package valkey counts limits in Valkey or Redis, for many processes that share
// one: a check is one script in one round trip, on the store's clock, in whole
// numbers.
//
//	store := valkey.Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:6379"}})
//	api, err := valkey.New(store, throttle.NewGCRA(100, time.Minute, 20), valkey.Options{Name: "api", Outage: valkey.Local})
//	d, err := api.AllowN(ctx, clientIP, 1)
//
// # Algorithms
//
// Token bucket, leaky meter and GCRA are one bucket here, exact at any rate;
// fixed-window counts in windows of the store's clock. Their guarantees are those of
// package throttle, over all processes together. The others are refused.
//
// # When the store is away
//
// A call waits Timeout and no longer. After a failure the store is left alone for
// RetryEvery, and then one call tries it again: an outage costs nobody but that one
// a wait, and piles nothing up. What is decided meanwhile says Options.Outage:
//
//	| Outage | what is answered                  | take it for                        |
//	|--------|-----------------------------------|------------------------------------|
//	| Local  | a limiter of this process, of the | most things: n processes admit up  |
//	|        | same limit, or of its Share       | to n times as much, or 1/Share     |
//	| Closed | refused, with RetryEvery          | what must never be too much        |
//	| Open   | admitted                          | what must never be turned away     |
//	| Report | nothing: the caller gets an error | callers with a policy of their own |
//
// # Refusals
//
// A refusal is remembered here for as long as it stays true, for at most a second,
// and answered without the store: for the same or a higher cost it is exact, since
// time alone can cure it. (Units that another process gives back meanwhile are
// noticed after that second.) Refusals write nothing to the store.
//
// # What the store holds
//
// One string for each key that is not as good as new, with a time to live, under
// "throttle:NAME:{KEY}"; keys over 200 bytes by their hash. A bucket whose limit
// was changed keeps the same fraction spent. A store that loses its memory forgets
// the counts. If its clock is set back, no time passes until it goes on; no key is
// locked until the clock has caught up.
package valkey
