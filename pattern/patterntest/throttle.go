package patterntest

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

var throttleSuite = suite{pattern: "throttle", parts: []part{
	{needs: "Checker", has: is[Checker], everywhere: true, checks: checkChecks},
	{needs: "Limited", has: is[Limited], checks: limitedChecks},
}}

// Checker asks the world's limits.
type Checker interface {
	Check(ctx context.Context, name string, c policy.Check) (policy.Verdict, error)
}

// Limited is a door behind which publishing is limited. Its errors tell how long to
// wait.
type Limited interface {
	Publisher
	Checker
	Limited()
}

var checkChecks = []check{
	{"Quota", "a key gets its quota, and no unit more before the time that it is told; then it does", quotaCase},
	{"Keys", "keys do not touch one another, whatever bytes they have", keysCase},
	{"Look", "a look takes nothing, and says what asking would give", lookCase},
	{"Refund", "what is given back can be had again", refundCase},
	{"Never", "what waiting does not cure is told as that", neverCase},
	{"Change", "a limit that is changed keeps what its keys have spent", changeCase},
	{"Restart", "limits that were put are in the log: whoever reads it has them", restartCase},
	{"Gone", "a limit that is not there is told as that", goneCase},
}

var limitedChecks = []check{
	{"Publish", "what is above the limit is refused and not stored, and stored when it comes as it was told", limitedPublish},
	{"PublishAll", "a commit to several topics is refused as a whole when one of them is at its limit", limitedAll},
	{"Shape", "a limit that shapes stores all, in its own time", shapedPublish},
	{"Shadow", "a limit in shadow mode refuses nothing", shadowPublish},
}

const aLimit = "a.limit"

// limit puts a limit, not through a door.
func (s *scene) limit(d policy.Definition) {
	s.Helper()
	if _, _, err := s.Limits.Put(s.Life, aLimit, d); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) ask(c policy.Check) policy.Verdict {
	s.Helper()
	v, err := s.door.(Checker).Check(s.Life, aLimit, c)
	if err != nil {
		s.Fatal(err)
	}
	return v
}

// wants asks and compares.
func (s *scene) wants(c policy.Check, allowed bool, remaining int64) policy.Verdict {
	s.Helper()
	v := s.ask(c)
	if v.Allowed != allowed || v.Remaining != remaining {
		s.Fatalf("%+v is answered with %+v; want %t with %d left", c, v, allowed, remaining)
	}
	return v
}

func quotaCase(s *scene) {
	for _, algorithm := range []throttle.Algorithm{throttle.SlidingLog, throttle.TokenBucket, throttle.GCRA, throttle.FixedWindow, throttle.LeakyMeter} {
		s.limit(policy.Definition{Limit: "3/1h", Algorithm: string(algorithm)})
		key := string(algorithm)
		for left := int64(2); left >= 0; left-- {
			s.wants(policy.Check{Key: key, Cost: 1}, true, left)
		}
		v := s.wants(policy.Check{Key: key, Cost: 1}, false, 0)
		if v.Limit != 3 || v.RetryAfter <= time.Millisecond || v.RetryAfter > time.Hour {
			s.Fatalf("%s refuses with %+v", algorithm, v)
		}
		s.pass(v.RetryAfter - time.Millisecond)
		if v := s.ask(policy.Check{Key: key, Cost: 1}); v.Allowed {
			s.Fatalf("%s lets in before the time it told", algorithm)
		}
		s.pass(2 * time.Millisecond) // doors round up to milliseconds
		if v := s.ask(policy.Check{Key: key, Cost: 1}); !v.Allowed {
			s.Fatalf("%s refuses after the time it told: %+v", algorithm, v)
		}
	}
}

func keysCase(s *scene) {
	s.limit(policy.Definition{Limit: "sliding-log 1/1h"})
	for _, key := range []string{"", "a", "A", "a/b", "ä", "~$*>"} {
		s.wants(policy.Check{Key: key, Cost: 1}, true, 0)
		s.wants(policy.Check{Key: key, Cost: 1}, false, 0)
	}
}

func lookCase(s *scene) {
	s.limit(policy.Definition{Limit: "sliding-log 3/1h"})
	for range 5 {
		s.wants(policy.Check{Key: "k", Cost: 3, Peek: true}, true, 3)
	}
	s.wants(policy.Check{Key: "k", Cost: 2}, true, 1)
	v := s.wants(policy.Check{Key: "k", Cost: 2, Peek: true}, false, 1)
	if v.RetryAfter < 59*time.Minute || v.RetryAfter > time.Hour {
		s.Fatalf("%+v", v)
	}
	s.wants(policy.Check{Key: "k", Cost: 1}, true, 0)
}

func refundCase(s *scene) {
	for _, algorithm := range []throttle.Algorithm{throttle.SlidingLog, throttle.TokenBucket, throttle.FixedWindow} {
		s.limit(policy.Definition{Limit: "3/1h", Algorithm: string(algorithm)})
		key := string(algorithm)
		s.wants(policy.Check{Key: key, Cost: 3}, true, 0)
		s.wants(policy.Check{Key: key, Cost: 2, Refund: true}, true, 2)
		s.wants(policy.Check{Key: key, Cost: 9, Refund: true}, true, 3)
	}
}

func neverCase(s *scene) {
	s.limit(policy.Definition{Limit: "3/1h"})
	if v := s.wants(policy.Check{Key: "k", Cost: 4}, false, 3); v.RetryAfter != 0 || v.Reason != throttle.Impossible {
		s.Fatalf("%+v", v)
	}
	s.limit(policy.Definition{Limit: "0/1h"})
	if v := s.wants(policy.Check{Key: "k", Cost: 1}, false, 0); v.RetryAfter != 0 || v.Reason != throttle.Closed {
		s.Fatalf("%+v", v)
	}
}

func changeCase(s *scene) {
	s.limit(policy.Definition{Limit: "sliding-log 3/1h"})
	s.wants(policy.Check{Key: "k", Cost: 3}, true, 0)
	s.limit(policy.Definition{Limit: "sliding-log 5/1h"})
	s.wants(policy.Check{Key: "k", Cost: 2}, true, 0)
	s.wants(policy.Check{Key: "k", Cost: 1}, false, 0)
}

func restartCase(s *scene) {
	s.limit(policy.Definition{Limit: "sliding-log 3/1h", On: []string{"publish:a.>"}})
	again, err := policy.New(s.Log, policy.Options{})
	if err != nil {
		s.Fatal(err)
	}
	if err := again.Load(s.Life); err != nil {
		s.Fatal(err)
	}
	have, err := s.Limits.Get(aLimit)
	got, errAgain := again.Get(aLimit)
	if err != nil || errAgain != nil || got.Limit != have.Limit || !got.Changed.Equal(have.Changed) || len(got.On) != 1 {
		s.Fatalf("%+v %v, read again %+v %v", have, err, got, errAgain)
	}
}

func goneCase(s *scene) {
	s.limit(policy.Definition{Limit: "3/1h"})
	s.wants(policy.Check{Key: "k", Cost: 1}, true, 2)
	if err := s.Limits.Delete(s.Life, aLimit); err != nil {
		s.Fatal(err)
	}
	if _, err := s.door.(Checker).Check(s.Life, aLimit, policy.Check{Key: "k", Cost: 1}); parley.CodeOf(err) != parley.NotFound {
		s.Fatal(err)
	}
}

// post publishes a number through the door.
func (s *scene) post(n int) error {
	_, err := s.door.(Limited).Publish(s.Life, "", aTopic, numbers(n, n)...)
	return err
}

// keeps compares what the topic holds.
func (s *scene) keeps(want string) {
	s.Helper()
	got := ""
	for _, e := range s.stored(aTopic) {
		got += string(e.Data) + " "
	}
	if got != want {
		s.Fatalf("%q is stored, want %q", got, want)
	}
}

func limitedPublish(s *scene) {
	s.limit(policy.Definition{Limit: "3/3s", Key: "everyone", On: []string{"publish:" + aTopic}})
	var wait time.Duration
	for n := 1; n <= 5; n++ {
		err := s.post(n)
		if (err == nil) != (n <= 3) {
			s.Fatalf("event %d: %v", n, err)
		}
		var e *parley.Error
		if err != nil && (!errors.As(err, &e) || e.Code != parley.Throttled || e.RetryAfter <= 0 || e.RetryAfter > time.Second) {
			s.Fatalf("event %d is refused with %v", n, err)
		}
		if e != nil {
			wait = e.RetryAfter
		}
	}
	s.keeps("1 2 3 ")
	s.pass(wait)
	if err := s.post(4); err != nil {
		s.Fatal(err)
	}
	s.keeps("1 2 3 4 ")
}

func limitedAll(s *scene) {
	s.limit(policy.Definition{Limit: "1/1h", Key: "topic", On: []string{"publish:" + aTopic}})
	if err := s.post(1); err != nil {
		s.Fatal(err)
	}
	_, err := s.door.(Limited).PublishAll(s.Life, "", topic.TopicEvents{Topic: "other", Events: numbers(1, 1)}, topic.TopicEvents{Topic: aTopic, Events: numbers(2, 2)})
	if parley.CodeOf(err) != parley.Throttled {
		s.Fatal(err)
	}
	s.keeps("1 ")
	if n := len(s.stored("other")); n != 0 {
		s.Fatalf("%d events of a commit that was refused", n)
	}
}

func shapedPublish(s *scene) {
	s.limit(policy.Definition{Limit: "leaky-queue 1/s", Key: "everyone", On: []string{"publish"}, Action: policy.Shape, MaxWait: "10s"})
	begin := time.Now()
	want := ""
	for n := 1; n <= 5; n++ {
		if err := s.post(n); err != nil {
			s.Fatal(err)
		}
		want += strconv.Itoa(n) + " "
		if took := time.Since(begin).Round(time.Millisecond); took != time.Duration(n-1)*time.Second {
			s.Fatalf("event %d is stored after %s", n, took)
		}
	}
	s.keeps(want)
}

func shadowPublish(s *scene) {
	s.limit(policy.Definition{Limit: "1/1h", Key: "everyone", On: []string{"publish"}, Mode: policy.Shadow})
	for n := 1; n <= 3; n++ {
		if err := s.post(n); err != nil {
			s.Fatal(err)
		}
	}
	s.keeps("1 2 3 ")
}
