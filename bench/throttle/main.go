// Command throttle measures pattern/throttle beside three limiters in one process:
// one key that everybody asks for, and a million keys in no order. Then, unless
// -envoy=0, it sends Envoy's rate limit service a steady stream of questions.
//
//	go run ./throttle
//	go run ./throttle -libraries=false -envoy 5000 -for 20s
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/parleyhq/parley/bench/target"
)

var (
	libraries  = flag.Bool("libraries", true, "compare the libraries")
	rounds     = flag.Int("rounds", 9, "rounds; the median counts")
	goroutines = flag.Int("goroutines", 4, "how many ask for the hot key; the million is always asked from two")
	keys       = flag.Int("keys", 1_000_000, "keys of the second table")
	perSecond  = flag.Int("envoy", 5000, "questions a second to Envoy's service; 0 = leave it out")
	apart      = flag.Bool("apart", false, "Envoy's service on the first processor, the load on the second; without the libraries")
	length     = flag.Duration("for", 10*time.Second, "length of a round of Envoy's service")
)

func main() {
	target.Main()
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if *apart {
		if err := target.Apart(); err != nil {
			return err
		}
		*libraries = false
	}
	fmt.Printf("%s, %d processors, %d rounds\n", runtime.Version(), runtime.GOMAXPROCS(0), *rounds)
	if *libraries {
		if err := hot(); err != nil {
			return err
		}
		if err := million(); err != nil {
			return err
		}
	}
	if *perSecond > 0 {
		return envoy()
	}
	return nil
}

// figures are what the rounds of one limiter gave.
type figures struct {
	nanos  []float64 // a call
	cpu    []float64 // ns of processor time a call, whatever else the machine does
	allocs []float64 // a call
	bytes  float64   // a key
}

// calls is how many each goroutine makes in a round of the hot key.
const calls = 2_000_000

// hot is one key from several goroutines: under a limit so high that nearly all
// pass, and under one of which nearly all are refused.
func hot() error {
	fmt.Printf("\none key, %d goroutines\n%-26s %9s %9s %9s %9s %9s %8s\n", *goroutines, "", "ns", "best", "spread", "CPU ns", "refused", "allocs")
	var made [2][]limiter
	for i, quota := range []int64{10_000_000, 1} { // GCRA's unit is the nanosecond: 100 of them are left for each
		for _, s := range subjects() {
			l, err := s.make(quota, time.Second, 1)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			made[i] = append(made[i], l)
		}
	}
	var results [2][]figures
	for i := range made {
		results[i] = make([]figures, len(made[i]))
		for round := range *rounds {
			for j := range made[i] {
				at := (j + round) % len(made[i]) // nobody is always first
				results[i][at].add(measure(*goroutines, calls, func(int) func() {
					l := made[i][at]
					return func() { l.allow("203.0.113.77") }
				}))
			}
		}
	}
	for j, s := range subjects() {
		open, shut := results[0][j], results[1][j]
		fmt.Printf("%-26s %9.1f %9.1f %8.0f%% %9.1f %9.1f %8.2f\n", s.name, median(open.nanos), slices.Min(open.nanos), 100*spread(open.nanos), median(open.cpu), median(shut.nanos), median(open.allocs))
		made[0][j].stop()
		made[1][j].stop()
	}
	return nil
}

// million is many keys in no order from two goroutines. The order is drawn before,
// and a key's bytes lie where the one before left off, as those of a request do
// that was just read: only the limiters' own memory is met at random.
func million() error {
	fmt.Printf("\n%d keys in no order, 2 goroutines\n%-26s %9s %9s %9s %9s %8s %9s\n", *keys, "", "ns", "best", "spread", "CPU ns", "allocs", "B a key")
	orders := [2][]string{shuffled(*keys, 1), shuffled(*keys, 2)}
	results := make([]figures, len(subjects()))
	made := make([]limiter, len(subjects()))
	for j, s := range subjects() {
		before := live()
		l, err := s.make(1000, 24*time.Hour, *keys) // no key is as good as new again while this runs
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for i := range *keys {
			l.allow(name(i)) // a key of its own: what a limiter keeps of it counts
		}
		made[j], results[j].bytes = l, float64(live()-before)/float64(*keys)
	}
	fmt.Printf("%-26s %9s %9s %9s %9.1f\n", "one read of such a table", "", "", "", missed(int(results[0].bytes)**keys))
	for round := range *rounds {
		for j := range made {
			at := (j + round) % len(made)
			results[at].add(measure(2, *keys, func(g int) func() {
				l, order, i := made[at], orders[g], 0
				return func() { l.allow(order[i]); i++ }
			}))
		}
	}
	for j, s := range subjects() {
		r := results[j]
		fmt.Printf("%-26s %9.1f %9.1f %8.0f%% %9.1f %8.2f %9.1f\n", s.name, median(r.nanos), slices.Min(r.nanos), 100*spread(r.nanos), median(r.cpu), median(r.allocs), r.bytes)
		made[j].stop()
	}
	return nil
}

// missed is what one read at random costs in so many bytes, the next of which is
// known only after it: no limiter can find a key for less.
func missed(size int) float64 {
	slab := make([]uint64, size/8)
	for i := range slab {
		slab[i] = 1 // so that every page is there
	}
	order := make([]uint32, calls)
	for i := range order {
		order[i] = rand.Uint32N(uint32(len(slab) - 1))
	}
	used, read := processor(), uint64(0)
	for _, at := range order {
		read = slab[uint64(at)+read&1]
	}
	return float64(processor()-used) / float64(calls) * float64(read)
}

// measure lets n goroutines make their calls at once, and gives the time, the
// processor time and the allocations for each call of all.
func measure(n, calls int, caller func(g int) func()) (nanos, cpu, allocs float64) {
	runtime.GC()
	var before, after runtime.MemStats
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	for g := range n {
		call := caller(g)
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-begin
			for range calls {
				call()
			}
		})
	}
	ready.Wait()
	runtime.ReadMemStats(&before)
	used, start := processor(), time.Now()
	close(begin)
	done.Wait()
	took := time.Since(start)
	used = processor() - used
	runtime.ReadMemStats(&after)
	all := float64(n * calls)
	return float64(took.Nanoseconds()) / all, float64(used.Nanoseconds()) / all, float64(after.Mallocs-before.Mallocs) / all
}

func (f *figures) add(nanos, cpu, allocs float64) {
	f.nanos, f.cpu, f.allocs = append(f.nanos, nanos), append(f.cpu, cpu), append(f.allocs, allocs)
}

// processor is the processor time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func live() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func median(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	return sorted[len(sorted)/2]
}

// spread is half the distance between the quartiles, as a part of the median.
func spread(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	return (sorted[len(sorted)*3/4] - sorted[len(sorted)/4]) / 2 / median(v)
}
