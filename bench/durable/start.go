package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/parleyhq/parley/bench/target"
)

// restart fills a log with so many GB, kills the server in the middle of more, and
// tells how long the next one takes until it serves.
func restart(gigabytes float64) error {
	place, err := os.MkdirTemp(*dir, "parley-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(place) }()
	s, err := target.Start("data", place+"/data")
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	const size = 1024
	w, filled := window{8, 256}, 0.0
	for filled < gigabytes {
		got, err := fill(s, w, size, 5*time.Second)
		if err != nil {
			return err
		}
		filled += got
	}
	for range 3 {
		ending := make(chan struct{})
		go func() {
			defer close(ending)
			_, _ = fill(s, w, size, 10*time.Second) // it fails: its server is killed
		}()
		select {
		case <-ending:
			return fmt.Errorf("the load ended before the server was killed")
		case <-time.After(time.Second):
		}
		if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
			return err
		}
		_ = s.Stop()
		<-ending
		begin := time.Now()
		if s, err = target.Start("data", place+"/data"); err != nil {
			return err
		}
		serves := time.Since(begin)
		p, err := dialHTTP(s.HTTP)
		if err != nil {
			return err
		}
		if err := p.append(1, []byte("first")); err != nil {
			return err
		}
		p.close()
		fmt.Printf("%.1f GB in the log, killed under load: serves after %v, first acknowledged append after %v\n", filled, serves.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	}
	return nil
}

// fill lets producers append for a while, and tells how many GB they did.
func fill(s *target.Server, w window, size int, d time.Duration) (float64, error) {
	in := &parleyServer{s, (*parleyServer).wsBatches}
	producers := make([]producer, w.producers)
	for i := range producers {
		var err error
		if producers[i], err = in.connect(); err != nil {
			return 0, err
		}
		defer producers[i].close()
	}
	var took samples
	err := load(producers, w, []byte(strings.Repeat("x", size)), d, &took)
	return float64(len(took.all)*w.outstanding*size) / 1e9, err
}
