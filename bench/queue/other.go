package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// latency measures from the sending of a job to its coming at a worker that waits, by
// turns with an fdatasync of as much on the same disk.
func latency() error {
	place, err := os.MkdirTemp(*dir, "parley-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(place) }()
	in, err := startParley(place)
	if err != nil {
		return err
	}
	defer in.stop()
	conn, err := in.(*parleyServer).dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	e, err := in.enqueuer()
	if err != nil {
		return err
	}
	defer e.close()
	stream, err := parleyv1.NewQueuesClient(conn).Work(context.Background())
	if err != nil {
		return err
	}
	if err := stream.Send(&parleyv1.WorkRequest{Open: &parleyv1.WorkOpen{Queue: "bench", Visibility: durationpb.New(time.Minute)}, Credit: 1}); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	file, err := os.Create(place + "/bare")
	if err != nil {
		return err
	}
	defer file.Close()
	payload := bytes.Repeat([]byte("x"), jobSize)
	var flushes, starts []time.Duration
	for range 2000 {
		begin := time.Now()
		if _, err := file.Write(payload); err != nil {
			return err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return err
		}
		flushes = append(flushes, time.Since(begin))
		d, err := oneJob(e, stream, payload)
		if err != nil {
			return err
		}
		starts = append(starts, d)
	}
	for name, list := range map[string][]time.Duration{"write and fdatasync of 1 KiB": flushes[100:], "enqueue to start of work": starts[100:]} {
		slices.Sort(list)
		fmt.Printf("%-32s p50 %v, p90 %v, p99 %v\n", name, list[len(list)/2], list[len(list)*9/10], list[len(list)*99/100])
	}
	return nil
}

// oneJob enqueues a job, takes it, and acks it.
func oneJob(e enqueuer, stream parleyv1.Queues_WorkClient, payload []byte) (time.Duration, error) {
	begin := time.Now()
	stored := make(chan error, 1)
	go func() { stored <- e.enqueue(1, payload) }()
	m, err := stream.Recv()
	if err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if err := <-stored; err != nil {
		return 0, err
	}
	if len(m.GetJobs()) != 1 {
		return 0, fmt.Errorf("not a job: %v", m)
	}
	if err := stream.Send(&parleyv1.WorkRequest{Request: 1, Settlements: []*parleyv1.Settlement{{Lease: m.GetJobs()[0].GetLease()}}, Credit: 1}); err != nil {
		return 0, err
	}
	_, err = stream.Recv()
	return took, err
}

// overHTTP is one job a request from 64 connections, beside a handler that reads its
// request, answers as much, and does nothing.
func overHTTP() error {
	for range *rounds {
		for _, name := range []string{"empty handler", "parley"} {
			rate, err := httpRate(name)
			if err != nil {
				return err
			}
			fmt.Printf("%-16s %8.0f requests/s\n", name, rate)
		}
	}
	return nil
}

func httpRate(name string) (float64, error) {
	place, err := os.MkdirTemp(*dir, "parley-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(place) }()
	var addr string
	if name == "parley" {
		in, err := startParley(place)
		if err != nil {
			return 0, err
		}
		defer in.stop()
		addr = in.(*parleyServer).HTTP
	} else {
		in, err := startChild("empty", place)
		if err != nil {
			return 0, err
		}
		defer in.stop()
		addr = in.addr
	}
	if _, err := requests(addr, 300*time.Millisecond); err != nil { // warm up
		return 0, err
	}
	return requests(addr, *length)
}

// requests posts jobs for a while, one a request, and gives their rate.
func requests(addr string, d time.Duration) (float64, error) {
	request := []byte("POST /v1/queues/bench/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nContent-Length: " + strconv.Itoa(jobSize) + "\r\n\r\n")
	request = append(request, bytes.Repeat([]byte("x"), jobSize)...)
	var posting sync.WaitGroup
	counts, errs := make([]int, 64), make([]error, 64)
	begin := time.Now()
	for i := range counts {
		posting.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			for time.Since(begin) < d {
				if errs[i] = post(conn, r, request); errs[i] != nil {
					return
				}
				counts[i]++
			}
		})
	}
	posting.Wait()
	n := 0
	for i := range counts {
		if errs[i] != nil {
			return 0, errs[i]
		}
		n += counts[i]
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// post writes a request by hand: the client must not be what is measured.
func post(conn net.Conn, r *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	length, created := 0, false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		created = created || bytes.HasPrefix(line, []byte("HTTP/1.1 201"))
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(n)))
		}
		if len(line) <= 2 {
			break
		}
	}
	if !created {
		return fmt.Errorf("%s refuses", conn.RemoteAddr())
	}
	_, err := r.Discard(length)
	return err
}

func serveEmpty() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/v1/queues/bench/jobs/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "{\"jobs\":[{\"id\":\"1\"}]}\n")
	}))
}
