package stream

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

func numbersOf(list []Message) (out []int) {
	for _, m := range list {
		n, _ := strconv.Atoi(string(m.Event.Data))
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func upTo(n int) (out []int) {
	for i := 1; i <= n; i++ {
		out = append(out, i)
	}
	return out
}

func TestOneMemberReadsAllAndGoesOnAfterARestart(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("orders", 3)
		r.put("orders", 1, 20)
		g := r.group("billing")
		j := r.join(g, JoinRequest{Topics: []string{"orders"}, Client: "one"})
		if j.Generation != 1 || len(j.Assigned) != 3 || j.Session != DefaultSession {
			t.Fatalf("joined %+v", j)
		}
		f := r.fetch(g, FetchRequest{Member: j.Member, Generation: 1, Limit: 15})
		if len(f.Messages) != 15 || !f.More || f.Lag != 5 || f.Changed {
			t.Fatalf("%d messages, more %v, lag %d", len(f.Messages), f.More, f.Lag)
		}
		if _, err := g.Commit(r.ctx(), CommitRequest{Member: j.Member, Generation: 1, Cursor: f.Cursor}); err != nil {
			t.Fatal(err)
		}
		if i := r.describe(g); i.Lag != 5 || i.State != Stable || i.Members[0].Client != "one" {
			t.Fatalf("described %+v", i)
		}
		r.stop()
		r.run()
		g = r.group("billing")
		rest := r.fetch(g, FetchRequest{Member: j.Member, Generation: 1}) // within its session: still a member
		if got := numbersOf(append(f.Messages, rest.Messages...)); !slices.Equal(got, upTo(20)) || rest.More || rest.Lag != 0 {
			t.Fatalf("got %v, more %v, lag %d", got, rest.More, rest.Lag)
		}
		more := r.fetch(g, FetchRequest{Member: j.Member, Generation: 1, After: rest.Cursor})
		if len(more.Messages) != 0 {
			t.Fatalf("read again: %v", numbersOf(more.Messages))
		}
	})
}

func TestConsumersShareAndTakeOver(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("orders", 4)
		g := r.group("billing")
		type got struct {
			who  int
			list []int
		}
		out := make(chan got, 100)
		var stops []context.CancelFunc
		done := make(chan error, 3)
		for i := range 3 {
			ctx, stop := context.WithCancel(r.ctx())
			stops = append(stops, stop)
			c := r.consumer(g, ConsumerOptions{Topics: []string{"orders"}, AutoCommit: time.Millisecond})
			go func() {
				for {
					list, err := c.Poll(ctx)
					if err != nil {
						if i != 0 { // the first just falls silent
							done <- c.Leave(context.WithoutCancel(ctx))
						} else {
							c.life.Cancel()
							done <- nil
						}
						return
					}
					if len(list) > 0 {
						out <- got{i, numbersOf(list)}
					}
				}
			}()
			synctest.Wait()
		}
		r.pass(time.Second)
		info := r.describe(g)
		if info.State != Stable || len(info.Members) != 3 {
			t.Fatalf("%+v", info)
		}
		for _, m := range info.Members {
			if n := len(m.Assigned); n < 1 || n > 2 {
				t.Errorf("%s has %d partitions", m.ID, n)
			}
		}
		r.put("orders", 1, 40)
		r.pass(time.Second)
		stops[0]() // its partitions go to the others when its session is over
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.put("orders", 41, 80)
		r.pass(DefaultSession + time.Second)
		if info = r.describe(g); info.State != Stable || len(info.Members) != 2 || info.Lag != 0 {
			t.Fatalf("after the takeover %+v", info)
		}
		began := time.Now()
		stops[1]() // and at once when one leaves
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.put("orders", 81, 100)
		synctest.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %s", took)
		}
		stops[2]()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		close(out)
		var all []int
		for o := range out {
			all = append(all, o.list...)
		}
		slices.Sort(all)
		if all = slices.Compact(all); !slices.Equal(all, upTo(100)) {
			t.Fatalf("delivered %v", all)
		}
	})
}

func TestLongPollOfAMemberWakesForEventsAndGenerations(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("a", 2)
		g := r.group("g")
		one := r.consumer(g, ConsumerOptions{Topics: []string{"a"}})
		r.must(one.Join(r.ctx()))
		type answer struct {
			at   time.Time
			list []Message
			err  error
		}
		poll := func(c *Consumer) <-chan answer {
			out := make(chan answer, 1)
			go func() {
				list, err := c.Poll(r.ctx())
				out <- answer{time.Now(), list, err}
			}()
			synctest.Wait()
			return out
		}
		began := time.Now()
		held := poll(one)
		r.pass(90 * time.Second) // longer than the session: waiting is a sign of life
		r.put("a", 1, 1)
		if a := <-held; a.err != nil || len(a.list) != 1 || a.at.Sub(began) != 90*time.Second {
			t.Fatalf("after %s: %v %v", a.at.Sub(began), a.list, a.err)
		}
		r.must(one.Commit(r.ctx()))
		held = poll(one)
		two := r.consumer(g, ConsumerOptions{Topics: []string{"a"}})
		other := poll(two)
		if a := <-held; a.err != nil || len(a.list) != 0 || one.Generation() != 2 || len(one.Assigned()) != 1 {
			t.Fatalf("%v %v, generation %d, assigned %v", a.list, a.err, one.Generation(), one.Assigned())
		}
		if a := <-other; a.err != nil || two.Generation() != 2 || len(two.Assigned()) != 1 {
			t.Fatalf("%v, generation %d, assigned %v", a.err, two.Generation(), two.Assigned())
		}
		if since := time.Since(began) - 90*time.Second; since > 2*time.Second {
			t.Errorf("the rebalance took %s", since)
		}
		r.must(one.Leave(r.ctx()))
		r.must(two.Leave(r.ctx()))
	})
}

func TestJoinWaitsForTheOthers(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("a", 2)
		g := r.group("g")
		one := r.join(g, JoinRequest{Topics: []string{"a"}, Session: time.Minute})
		began := time.Now()
		two := r.join(g, JoinRequest{Topics: []string{"a"}, Wait: 5 * time.Second})
		if !two.Rebalance || len(two.Assigned) != 0 || time.Since(began) != 5*time.Second {
			t.Fatalf("after %s: %+v", time.Since(began), two)
		}
		if b, err := g.Heartbeat(r.ctx(), one.Member, one.Generation); err != nil || !b.Rebalance || b.Generation != 1 {
			t.Fatalf("%+v %v", b, err)
		}
		again := make(chan Joined, 1)
		go func() {
			j, err := g.Join(r.ctx(), JoinRequest{Topics: []string{"a"}, Member: two.Member})
			if err != nil {
				t.Error(err)
			}
			again <- j
		}()
		r.pass(3 * time.Second)
		if f := r.fetch(g, FetchRequest{Member: one.Member, Generation: 1}); !f.Changed || f.Generation != 2 || len(f.Assigned) != 1 {
			t.Fatalf("%+v", f)
		}
		if j := <-again; j.Generation != 2 || len(j.Assigned) != 1 || j.Rebalance || time.Since(began) > 9*time.Second {
			t.Fatalf("after %s: %+v", time.Since(began), j)
		}
	})
}

func TestPatternsGainTopicsAndPartitions(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("orders.eu", 1)
		r.put("orders.eu", 1, 3)
		g := r.group("g")
		j := r.join(g, JoinRequest{Topics: []string{"orders.>", "later"}, From: Latest()})
		f := r.fetch(g, FetchRequest{Member: j.Member, Generation: 1})
		if len(f.Messages) != 0 || len(f.Assigned) != 1 {
			t.Fatalf("%+v", f)
		}
		r.create("orders.us", 2)
		r.put("orders.us", 4, 5)
		r.put("later", 6, 6)
		synctest.Wait()
		f = r.fetch(g, FetchRequest{Member: j.Member, Generation: f.Generation, After: f.Cursor})
		if got := numbersOf(f.Messages); !f.Changed || !slices.Equal(got, []int{4, 5, 6}) || len(f.Assigned) != 4 {
			t.Fatalf("got %v of %v", got, f.Assigned)
		}
		_, err := r.topics.Update(r.ctx(), "orders.eu", topic.Settings{Partitions: 3})
		r.must(err)
		r.put("orders.eu", 7, 12)
		synctest.Wait()
		f = r.fetch(g, FetchRequest{Member: j.Member, Generation: f.Generation, After: f.Cursor})
		if got := numbersOf(f.Messages); !slices.Equal(got, []int{7, 8, 9, 10, 11, 12}) || len(f.Assigned) != 6 {
			t.Fatalf("got %v of %v", got, f.Assigned)
		}
		r.must(r.topics.Delete(r.ctx(), "orders.us"))
		synctest.Wait()
		if f = r.fetch(g, FetchRequest{Member: j.Member, Generation: f.Generation, After: f.Cursor}); len(f.Assigned) != 4 || !f.Changed {
			t.Fatalf("%v", f.Assigned)
		}
	})
}

func TestGapsAreTold(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		a := r.create("a", 1)
		r.put("a", 1, 10)
		g := r.group("g")
		var gaps []Gap
		c := r.consumer(g, ConsumerOptions{Topics: []string{"a"}, Limit: 3, OnGap: func(_ context.Context, gap Gap) { gaps = append(gaps, gap) }})
		poll := func() []int {
			list, err := c.Poll(r.ctx())
			r.must(err)
			return numbersOf(list)
		}
		if got := poll(); !slices.Equal(got, []int{1, 2, 3}) {
			t.Fatal(got)
		}
		r.must(c.Commit(r.ctx()))
		r.must(r.log.Trim(r.ctx(), a.Partitions[0].Stream, 8))
		if got := poll(); len(gaps) != 1 || got[0] != 8 || gaps[0].Topic != "a" || gaps[0].From != 4 || gaps[0].To != 8 {
			t.Fatalf("%v after %+v", got, gaps)
		}
		r.must(c.Leave(r.ctx()))
		j := r.join(g, JoinRequest{Topics: []string{"a"}})
		f := r.fetch(g, FetchRequest{Member: j.Member, Generation: j.Generation, Limit: 2})
		again := r.fetch(g, FetchRequest{Member: j.Member, Generation: j.Generation, After: f.Resume})
		if len(f.Gaps) != 1 || f.Resume == f.Cursor || len(again.Gaps) != 0 || numbersOf(again.Messages)[0] != 8 {
			t.Errorf("behind the gap %+v: %v", f.Gaps, numbersOf(again.Messages))
		}
	})
}

func TestRetentionOfUnusedGroups(t *testing.T) {
	fake(t, Options{Retention: time.Hour}, func(r *rig) {
		r.create("a", 1)
		g := r.group("g")
		j := r.join(g, JoinRequest{Topics: []string{"a"}})
		r.must(g.Leave(r.ctx(), j.Member))
		r.pass(59 * time.Minute)
		if len(r.List()) != 1 {
			t.Fatal("gone too early")
		}
		r.pass(2 * time.Minute)
		if list := r.List(); len(list) != 0 {
			t.Fatalf("still there: %v", list)
		}
		g = r.group("g")
		if i := r.describe(g); len(i.Partitions) != 0 || i.State != Empty {
			t.Fatalf("%+v", i)
		}
	})
}

func TestDelete(t *testing.T) {
	fake(t, Options{MaxGroups: 1}, func(r *rig) {
		r.create("a", 1)
		g := r.group("g")
		j := r.join(g, JoinRequest{Topics: []string{"a"}})
		r.code(r.Delete(r.ctx(), "g", false), parley.Conflict, "group")
		_, err := r.Ensure(r.ctx(), "h")
		r.code(err, parley.Overloaded, "group")
		r.must(r.Delete(r.ctx(), "g", true))
		r.code(r.Delete(r.ctx(), "g", true), parley.NotFound, "group")
		h := r.group("h")
		_, err = h.Fetch(r.ctx(), FetchRequest{Member: j.Member, Generation: 1})
		r.code(err, parley.Conflict, "member")
		synctest.Wait()
		streams, err := r.log.(parley.Lister).Streams(r.ctx(), "")
		r.must(err)
		for _, s := range streams {
			if s == g.moves {
				t.Error("the memory of a deleted group is still there")
			}
		}
		r.must(r.Delete(r.ctx(), "h", false))
		for range 5 { // the list of groups does not grow by those that came and went
			r.group("g")
			r.must(r.Delete(r.ctx(), "g", false))
		}
		run, err := r.log.Read(r.ctx(), parley.Place{Stream: groupsStream}, 1<<20)
		r.must(err)
		n := 0
		for range run.Records() {
			n++
		}
		if run.Release(); n > 2 {
			t.Errorf("%d events about no group", n)
		}
	})
}

// TestDeletedInTheMiddle joins a group that is cleared and still listed: who asks to
// be let into what is about to go waits, and if it does not go it is open again.
func TestDeletedInTheMiddle(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("a", 1)
		g := r.group("g")
		if _, err := g.ask(r.ctx(), &request{Op: "clear"}); err != nil {
			t.Fatal(err)
		}
		cleared := time.Now()
		r.join(g, JoinRequest{Topics: []string{"a"}})
		if waited := time.Since(cleared); waited < closingMillis*time.Millisecond || waited > 2*closingMillis*time.Millisecond {
			t.Errorf("let in after %v", waited)
		}
	})
}

func TestReader(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		a := r.create("a", 2)
		r.put("a", 1, 10)
		var all []int
		for p := range 2 {
			rd, err := r.Reader(r.ctx(), "a", p, Earliest())
			r.must(err)
			list, err := rd.Poll(r.ctx())
			r.must(err)
			all = append(all, numbersOf(list)...)
			if want := list[len(list)-1].Position + 1; rd.Position() != want {
				t.Errorf("at %d, want %d", rd.Position(), want)
			}
		}
		if slices.Sort(all); !slices.Equal(all, upTo(10)) {
			t.Errorf("read %v", all)
		}
		rd, err := r.Reader(r.ctx(), "a", 0, Latest())
		r.must(err)
		got := make(chan []Message, 1)
		go func() {
			list, err := rd.Poll(r.ctx())
			if err != nil {
				t.Error(err)
			}
			got <- list
		}()
		synctest.Wait()
		r.put("a", 11, 20)
		if list := <-got; len(list) == 0 {
			t.Error("nothing came")
		}
		end, err := r.log.End(r.ctx(), a.Partitions[0].Stream)
		r.must(err)
		r.must(r.log.Trim(r.ctx(), a.Partitions[0].Stream, end))
		rd.Seek(1)
		if _, err = rd.Poll(r.ctx()); parley.CodeOf(err) != parley.Trimmed || err.(*parley.Error).Earliest < 2 {
			t.Errorf("%v", err)
		}
		_, err = r.Reader(r.ctx(), "a", 2, Latest())
		r.code(err, parley.NotFound, "topic.partition")
	})
}
