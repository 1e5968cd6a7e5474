package throttle_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

// A token bucket is made of its capacity and its refill rate in tokens a
// second. Here time is an argument, so that the example is the same each time.
func Example_tokenBucket() {
	const capacity, refillRate = 3, 1.5
	bucket, err := throttle.Compile(throttle.NewTokenBucket(capacity, refillRate))
	if err != nil {
		panic(err)
	}
	state := make([]uint64, bucket.Words()) // zeros: a full bucket
	for _, now := range []time.Duration{0, 0, 0, 0, time.Second, 2 * time.Second, 2 * time.Second} {
		d := bucket.Take(state, now, 1)
		fmt.Printf("%-2s allowed %-5v %d left, retry in %s\n", now, d.OK, d.Remaining, d.RetryAfter)
	}
	// Output:
	// 0s allowed true  2 left, retry in 0s
	// 0s allowed true  1 left, retry in 0s
	// 0s allowed true  0 left, retry in 0s
	// 0s allowed false 0 left, retry in 666.666667ms
	// 1s allowed true  0 left, retry in 0s
	// 2s allowed true  1 left, retry in 0s
	// 2s allowed true  0 left, retry in 0s
}

// Three requests a second: of five that come at once the last two are turned
// away, and a second later they pass.
func Example_threePerSecond() {
	now := time.Duration(0)
	limiter, err := throttle.New(throttle.NewSlidingLog(3, time.Second), throttle.Options{
		Now: func() time.Duration { return now },
	})
	if err != nil {
		panic(err)
	}
	request := func(n int) {
		status := http.StatusOK
		if !limiter.Allow("client") {
			status = http.StatusTooManyRequests
		}
		fmt.Println("request", n, status, http.StatusText(status))
	}
	for n := 1; n <= 5; n++ {
		request(n)
	}
	now += time.Second
	request(4)
	request(5)
	// Output:
	// request 1 200 OK
	// request 2 200 OK
	// request 3 200 OK
	// request 4 429 Too Many Requests
	// request 5 429 Too Many Requests
	// request 4 200 OK
	// request 5 200 OK
}

// The bouncer lets somebody in when somebody leaves.
func ExampleLimiter_TryAcquire() {
	club, err := throttle.New(throttle.NewConcurrency(2), throttle.Options{})
	if err != nil {
		panic(err)
	}
	ann, _ := club.TryAcquire("club", 1)
	_, err = club.TryAcquire("club", 1)
	fmt.Println("bob:", err)
	_, err = club.TryAcquire("club", 1)
	fmt.Println("cem:", errors.Is(err, throttle.Limited))
	ann.Release()
	_, err = club.TryAcquire("club", 1)
	fmt.Println("cem:", err)
	// Output:
	// bob: <nil>
	// cem: true
	// cem: <nil>
}

// Several limits are asked together: a refusal by one burns nothing of the
// others.
func ExampleTryAll() {
	perSecond, _ := throttle.New(throttle.NewTokenBucket(1, 1), throttle.Options{Name: "second"})
	perDay, _ := throttle.New(throttle.NewFixedWindow(1000, 24*time.Hour), throttle.Options{Name: "day"})
	for range 2 {
		_, _, err := throttle.TryAll(
			throttle.Charge{Limiter: perSecond, Key: "ann", Cost: 1},
			throttle.Charge{Limiter: perDay, Key: "ann", Cost: 1},
		)
		fmt.Println(err != nil, perDay.Peek("ann").Remaining)
	}
	// Output:
	// false 999
	// true 999
}

// A login form takes the guess before it compares passwords, and gives it back
// when the password was right.
func ExampleGuard() {
	guard, err := throttle.NewGuard(throttle.Login(), throttle.Options{})
	if err != nil {
		panic(err)
	}
	login := func(account, ip, password string) string {
		attempt, err := guard.Enter(throttle.Subject{Account: account, IP: ip})
		if errors.Is(err, throttle.Limited) {
			return "429"
		}
		defer attempt.Done()
		if password != "correct horse" {
			return "401"
		}
		attempt.Succeed()
		return "200"
	}
	for range 6 {
		fmt.Println(login("ann", "192.0.2.1", "guess"))
	}
	// Output:
	// 401
	// 401
	// 401
	// 401
	// 401
	// 429
}
