// Package target runs a Parley server in a process of its own, so that what it
// costs is told apart from the load that is put on it.
package target

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/parleyhq/parley/server"
)

const childEnv = "PARLEY_BENCH_SERVER"

// Stats is what the server's process has used and holds now, after a collection.
type Stats struct {
	HTTP, GRPC string
	Heap       uint64 // live heap
	Stack      uint64 // stacks in use
	Goroutines int
	CPU        time.Duration // user and system, since its start
	CPUSystem  time.Duration
}

// Main must be called first in main: in the server's process it never returns.
func Main() {
	if os.Getenv(childEnv) == "" {
		return
	}
	if os.Getenv(apartEnv) == "1" { // the load's: it was inherited
		if err := pinned(0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve runs the server until standard input ends; each line of input is
// answered with the statistics.
func serve(args []string) error {
	if path := os.Getenv("PARLEY_BENCH_PROFILE"); path != "" { // of the last server of a run
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	flags := map[string][]string{"listen": {"127.0.0.1:0"}, "grpc": {"127.0.0.1:0"}, "drain": {"0s"}}
	var env []string
	for i := 0; i+1 < len(args); i += 2 {
		if strings.Contains(args[i], ".") {
			env = append(env, server.Field{Path: args[i]}.Env()+"="+args[i+1])
			continue
		}
		flags[args[i]] = []string{args[i+1]}
	}
	loaded, err := server.Load(server.Sources{Flags: flags, Env: env})
	if err != nil {
		return err
	}
	at := make(chan server.Addresses, 1)
	s, err := server.New(loaded.Config, server.Options{
		Log:       slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		HeapFloor: server.HeapFloor, // as in `parley serve`
		Started:   func(a server.Addresses) { at <- a },
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var where server.Addresses
	select {
	case where = <-at:
	case err := <-ended:
		stop()
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); ; {
		if err := out.Encode(measure(where)); err != nil {
			break
		}
		if !in.Scan() {
			break
		}
	}
	stop()
	return <-ended
}

// measured is what measuring has cost by itself, to be left out. Only serve's
// goroutine measures.
var measured, measuredSystem time.Duration

func measure(at server.Addresses) Stats {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru) // cannot fail for oneself
	m0, m1 := measured, measuredSystem
	runtime.GC()
	runtime.GC() // what finalizers freed
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var collected syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &collected)
	measured += time.Duration(collected.Utime.Nano() - ru.Utime.Nano())
	measuredSystem += time.Duration(collected.Stime.Nano() - ru.Stime.Nano())
	user := time.Duration(ru.Utime.Nano()) - m0
	system := time.Duration(ru.Stime.Nano()) - m1
	return Stats{HTTP: at.HTTP, GRPC: at.GRPC, Heap: m.HeapAlloc - server.HeapFloor, Stack: m.StackInuse, Goroutines: runtime.NumGoroutine(), CPU: user + system, CPUSystem: system}
}

// Server is a running server process.
type Server struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
	HTTP string
	GRPC string
}

// Start starts a server; settings are names of flags, or paths of settings that have
// none, and their values, in pairs.
func Start(settings ...string) (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &Server{cmd: exec.Command(self, settings...)}
	s.cmd.Env = append(os.Environ(), childEnv+"=1")
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.out = json.NewDecoder(out)
	var first Stats
	if err := s.out.Decode(&first); err != nil {
		_ = s.cmd.Wait()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	s.HTTP, s.GRPC = first.HTTP, first.GRPC
	return s, nil
}

// Stats asks the process.
func (s *Server) Stats() (Stats, error) {
	if _, err := s.in.Write([]byte("\n")); err != nil {
		return Stats{}, err
	}
	var st Stats
	err := s.out.Decode(&st)
	return st, err
}

// PID is the process's number.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop lets it end.
func (s *Server) Stop() error {
	_ = s.in.Close() // it ends with its input
	return s.cmd.Wait()
}
