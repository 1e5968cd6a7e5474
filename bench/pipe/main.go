// Command pipe measures pipes.
//
//	go run ./pipe [-what stages] [-events 1000000] [-rounds 5] [-dir DIR]
//
// stages: the cost of a stage of the library, beside other libraries that move values
// through stages in one process: github.com/destel/rill (channels of values) and
// github.com/ThreeDotsLabs/watermill (messages over a GoChannel, acknowledged one by
// one). Each does the same: numbers, three times plus one, the even ones, in batches of
// 100, summed at the end, which is checked.
//
// lanes: two lanes that keep the order of all events, beside two that keep none, by
// the size of the batches that events come in.
//
// topics: declared pipes from topic to topic, with a where between and without one,
// 1 KiB of JSON an event, every commit through an fsync. The log is in -dir.
//
// files: a file of JSON lines, filtered and mapped into another, by a pipe over
// events and by a loop that is written for it with encoding/json.
//
// Rounds alternate; the median counts. The first side of lanes, topics and files is there
// twice, so that the spread of the machine is seen.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// side is one of what is compared. run gives the number of events that it worked on.
type side struct {
	name string
	run  func(ctx context.Context) (events int, err error)
}

func main() {
	what := flag.String("what", "stages", "stages, lanes, topics or files")
	events := flag.Int("events", 1_000_000, "events in a round")
	rounds := flag.Int("rounds", 5, "rounds")
	parent := flag.String("dir", "", "where files are written; the folder of temporary ones")
	flag.Parse()
	dir, err := os.MkdirTemp(*parent, "bench-pipe")
	if err != nil {
		log.Fatal(err)
	}
	err = measure(*what, *events, *rounds, dir)
	if e := os.RemoveAll(dir); err == nil {
		err = e
	}
	if err != nil {
		log.Fatal(err)
	}
}

func measure(what string, events, rounds int, dir string) error {
	ctx := context.Background()
	switch what {
	case "stages":
		return compare(ctx, stages(events), rounds)
	case "lanes":
		for _, batch := range []int{1, 16, 64, 256} {
			fmt.Printf("batches of %d\n", batch)
			if err := compare(ctx, lanes(events, batch), rounds); err != nil {
				return err
			}
		}
		return nil
	case "topics":
		sides, stop, err := topics(ctx, events, dir)
		if err != nil {
			return err
		}
		defer stop()
		return compare(ctx, sides, rounds)
	case "files":
		sides, err := files(events, dir)
		if err != nil {
			return err
		}
		return compare(ctx, sides, rounds)
	}
	return fmt.Errorf("-what is %s", what)
}

// compare runs the sides by turns, and prints the medians of their times and of the
// processor's, and what each is in parts of the first: when the machine is shared, only
// the latter says something.
func compare(ctx context.Context, sides []side, rounds int) error {
	took, cost := make([][]float64, len(sides)), make([][]float64, len(sides))
	for range rounds {
		for i, s := range sides {
			runtime.GC() // what the one before has left is not for this one
			began, spent := time.Now(), processor()
			n, err := s.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			took[i] = append(took[i], float64(time.Since(began).Nanoseconds())/float64(n))
			cost[i] = append(cost[i], float64((processor()-spent).Nanoseconds())/float64(n))
		}
	}
	fmt.Printf("%-24s %10s %23s %8s %10s %23s %8s\n", "", "ns", "", "rate", "CPU ns", "", "rate")
	for i, s := range sides {
		fmt.Printf("%-24s %s %s\n", s.name, spread(took[i], took[0]), spread(cost[i], cost[0]))
	}
	return nil
}

// spread tells the median, the least and the most, and the rate in parts of another.
func spread(all, first []float64) string {
	all, first = slices.Sorted(slices.Values(all)), slices.Sorted(slices.Values(first))
	median := all[len(all)/2]
	return fmt.Sprintf("%10.0f (%9.0f to %9.0f) %8.2f", median, all[0], all[len(all)-1], first[len(first)/2]/median)
}

// processor is the time that this process had processors for.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
