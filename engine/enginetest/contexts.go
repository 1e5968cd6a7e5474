package enginetest

import (
	"context"
	"fmt"
	"time"

	"github.com/parleyhq/parley"
)

var contextChecks = []check{
	{"Context/Ended", "a call whose context has ended does not wait: it answers, or says Canceled", contextEnded},
	{"Context/Append", "after any error but Unknown nothing was appended; after Unknown once or not at all", contextAppend},
	{"Context/OneOfMany", "a caller who goes away takes nothing from the others", contextOthers},
}

func contextEnded(e *env) {
	e.add(sB, "1")
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	got, err := e.log.Append(ctx, write(sA, "perhaps"))
	switch code := parley.CodeOf(err); {
	case err == nil:
		e.wantValues(sA, "perhaps")
		if len(got) != 1 {
			e.Fatalf("answers %v", got)
		}
	case code == parley.Canceled:
		e.wantValues(sA)
	case code != parley.Unknown:
		e.Fatalf("Append: %v", err)
	}
	calls := map[string]func() error{
		"Read": func() error {
			run, err := e.log.Read(ctx, place(sB, 0), 1)
			if err == nil {
				run.Release()
			}
			return err
		},
		"End":  func() error { _, err := e.log.End(ctx, sB); return err },
		"Trim": func() error { return e.log.Trim(ctx, sB, 1) },
		"Wait": func() error { return e.log.Wait(ctx, place(sB, 0)) },
	}
	for what, call := range calls {
		e.within(what, func() error {
			if err := call(); err != nil && parley.CodeOf(err) != parley.Canceled {
				return fmt.Errorf("its context has ended: %w", err)
			}
			return nil
		})
	}
	e.wantCode(e.log.Wait(ctx, place(sC, 0)), parley.Canceled, "Wait for what does not come")
}

func contextAppend(e *env) {
	outcome := make(map[string]error)
	for i := range e.suite.Rounds {
		v := fmt.Sprint(i)
		ctx, cancel := context.WithTimeout(e.ctx, time.Duration(i)*10*time.Microsecond)
		if i%2 == 1 {
			ctx, cancel = context.WithCancel(e.ctx)
			go cancel()
		}
		_, err := e.log.Append(ctx, write(sA, v), write(sB, v))
		cancel()
		switch code := parley.CodeOf(err); {
		case err != nil && code != parley.Canceled && code != parley.Timeout && code != parley.Unknown:
			e.Fatalf("append %d, whose context ended: %v", i, err)
		default:
			outcome[v] = err
		}
	}
	e.put(write(sA, "after"), write(sB, "after")) // what is unknown is decided by now
	var counts [2]map[string]int
	for i, s := range []parley.Stream{sA, sB} {
		counts[i] = make(map[string]int)
		for _, v := range e.values(s) {
			counts[i][v]++
		}
	}
	for v, err := range outcome {
		n := counts[0][v]
		switch {
		case n != counts[1][v]:
			e.Errorf("append %s is %d and %d times in its two streams", v, n, counts[1][v])
		case err == nil && n != 1, parley.CodeOf(err) == parley.Unknown && n > 1, err != nil && parley.CodeOf(err) != parley.Unknown && n != 0:
			e.Errorf("append %s answered %v and is there %d times", v, err, n)
		}
	}
}

func contextOthers(e *env) {
	each := max(e.suite.Rounds/4, 5)
	e.together(4, func(k int) error {
		for i := range each {
			ctx, cancel := context.WithCancel(e.ctx)
			if k%2 == 0 {
				go cancel()
			}
			_, err := e.log.Append(ctx, write(numbered(k), fmt.Sprint(i)))
			cancel()
			if k%2 == 1 && err != nil {
				return err
			}
		}
		return nil
	})
	for k := 1; k < 4; k += 2 {
		if got := e.values(numbered(k)); len(got) != each {
			e.Errorf("producer %d has %d batches, %d were acknowledged", k, len(got), each)
		}
	}
}
