// Command benthos runs Benthos over the file of bench/pipe -what files, to be held
// against the pipe there: the same lines, filtered and mapped into another file.
//
//	go run . [-events 1000000] [-rounds 3]
//
// It is a module of its own, because Benthos needs many others. Lines go through it one
// by one, as they do by default: with a broker that gathers 256 it took longer. What it
// wrote is checked by its length.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

const config = `
logger: {level: ERROR}
http: {enabled: false}
input:
  file: {paths: [%q], scanner: {lines: {}}}
pipeline:
  processors:
    - mapping: |
        root = if this.total > 99 { {"id": this.id, "name": this.customer.name} } else { deleted() }
output:
  file: {path: %q, codec: lines}
`

func main() {
	events := flag.Int("events", 1_000_000, "lines in a round")
	rounds := flag.Int("rounds", 3, "rounds")
	flag.Parse()
	dir, err := os.MkdirTemp("", "bench-benthos")
	if err != nil {
		log.Fatal(err)
	}
	err = measure(dir, *events, *rounds)
	if e := os.RemoveAll(dir); err == nil {
		err = e
	}
	if err != nil {
		log.Fatal(err)
	}
}

func measure(dir string, events, rounds int) error {
	in, out := filepath.Join(dir, "in.ndjson"), filepath.Join(dir, "out.ndjson")
	want, err := fill(in, events)
	if err != nil {
		return err
	}
	var took, cost []float64
	for range rounds {
		b := service.NewStreamBuilder()
		if err := b.SetYAML(fmt.Sprintf(config, in, out)); err != nil {
			return err
		}
		stream, err := b.Build()
		if err != nil {
			return err
		}
		began, spent := time.Now(), processor()
		if err := stream.Run(context.Background()); err != nil {
			return err
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/float64(events))
		cost = append(cost, float64((processor()-spent).Nanoseconds())/float64(events))
		got, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		if n := bytes.Count(got, []byte("\n")); n != want {
			return fmt.Errorf("it wrote %d lines, want %d", n, want)
		}
		if err := os.Remove(out); err != nil {
			return err
		}
	}
	slices.Sort(took)
	slices.Sort(cost)
	fmt.Printf("benthos: %.0f ns a line (%.0f to %.0f), %.0f ns of the processor\n", took[rounds/2], took[0], took[rounds-1], cost[rounds/2])
	return nil
}

// fill writes the lines of bench/pipe, and gives how many pass.
func fill(name string, events int) (pass int, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for n := range events {
		if n%200 > 99 {
			pass++
		}
		fmt.Fprintf(w, `{"id":%d,"total":%d,"city":"Bonn","customer":{"name":"Customer %d","vip":%t},"tags":["a","b"],"note":"deliver after %d o'clock"}`+"\n", n, n%200, n%1000, n%7 == 0, n%24)
	}
	return pass, w.Flush()
}

// processor is the time that this process had processors for.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
