package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// frames collects a server's frames up to EOF.
func frames(nc net.Conn) <-chan []string {
	done := make(chan []string, 1)
	go func() {
		var got []string
		r := bufio.NewReader(nc)
		for {
			b0, p, err := readFrame(r)
			if err != nil {
				done <- got
				return
			}
			got = append(got, describe(b0, p))
		}
	}()
	return done
}

func mustWrite(t *testing.T, nc net.Conn, p []byte) {
	t.Helper()
	if _, err := nc.Write(p); err != nil {
		t.Fatal(err)
	}
}

func TestCloseGivesUpOnASilentPeer(t *testing.T) {
	for _, reader := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, nc := connect(t, 0, Options{CloseTimeout: 2 * time.Second})
			got, ran := frames(nc), make(chan error, 1)
			if reader {
				go func() { ran <- c.Run(t.Context(), c.Write) }()
				synctest.Wait()
			}
			start := time.Now()
			err := c.Close(CloseShutdown, "later")
			if parley.CodeOf(err) != parley.Timeout || time.Since(start) != 2*time.Second {
				t.Errorf("Close: %v after %v", err, time.Since(start))
			}
			if f := <-got; len(f) != 1 || f[0] != "close 3001" {
				t.Errorf("the peer saw %q", f)
			}
			if reader {
				if err := <-ran; CloseCodeOf(err) != CloseAbnormal {
					t.Errorf("Run: %v", err)
				}
			}
			<-c.Done()
		})
	}
}

func TestCloseHandshake(t *testing.T) {
	for _, reader := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, nc := connect(t, 0, Options{})
			ran := make(chan error, 1)
			if reader {
				go func() { ran <- c.Run(t.Context(), c.Write) }()
				synctest.Wait()
			}
			closed := make(chan error, 1)
			go func() { closed <- c.Close(CloseTooMany, "slow down") }()
			r := bufio.NewReader(nc)
			if b0, p, err := readFrame(r); err != nil || describe(b0, p) != "close 3013" || string(p[2:]) != "slow down" {
				t.Fatal(describe(b0, p), err)
			}
			if err := c.Write(Text, []byte("late")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write after Close: %v", err)
			}
			// Messages under way when the close frame arrives are no fault.
			mustWrite(t, nc, join(maskedString(0x82, "under way"), maskedString(0x89, ""), closing(3013, "")))
			// Half-closed: EOF before the server has heard ours.
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("after the handshake: %v", err)
			}
			synctest.Wait()
			select {
			case <-closed:
				t.Error("Close did not wait for the peer to hang up")
			default:
			}
			_ = nc.Close()
			if err := <-closed; err != nil {
				t.Errorf("Close: %v", err)
			}
			if reader {
				if err := <-ran; err != nil {
					t.Errorf("Run: %v", err)
				}
			}
			if err := c.Close(CloseNormal, ""); err != nil {
				t.Errorf("second Close: %v", err)
			}
		})
	}
}

// Close inside the handler must not wait for the reader that it runs on.
func TestCloseInsideTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 0, Options{})
		ran := make(chan error, 1)
		start := time.Now()
		go func() {
			ran <- c.Run(t.Context(), func(Opcode, []byte) error { return c.Close(CloseBadRequest, "no") })
		}()
		mustWrite(t, nc, maskedString(0x81, "?"))
		b0, p, err := readFrame(bufio.NewReader(nc))
		if err != nil || describe(b0, p) != "close 3501" {
			t.Fatal(describe(b0, p), err)
		}
		mustWrite(t, nc, closing(3501, ""))
		_ = nc.Close()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
	})
}

// A handler that never comes back does not keep the connection.
func TestCloseDespiteAStuckHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 0, Options{})
		stuck, ran := make(chan struct{}), make(chan error, 1)
		go func() {
			ran <- c.Run(t.Context(), func(Opcode, []byte) error { <-stuck; return nil })
		}()
		mustWrite(t, nc, maskedString(0x81, "?"))
		synctest.Wait()
		_ = c.Close(CloseNormal, "")
		<-c.Done()
		close(stuck)
		if err := <-ran; CloseCodeOf(err) != CloseAbnormal {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRunEnds(t *testing.T) {
	boom := errors.New("boom")
	for _, row := range []struct {
		name   string
		handle func(Opcode, []byte) error
		want   string
		is     error
	}{
		{"with the handler's error, untold", func(Opcode, []byte) error { return boom }, "close 1011", boom},
		{"with the handler's code", func(Opcode, []byte) error { return &CloseError{Code: ClosePermission, Err: boom} }, "close 3507", boom},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, nc := connect(t, 0, Options{})
				got, ran := frames(nc), make(chan error, 1)
				go func() { ran <- c.Run(t.Context(), row.handle) }()
				mustWrite(t, nc, join(maskedString(0x81, "?"), closing(1000, "")))
				if f := <-got; len(f) != 1 || f[0] != row.want {
					t.Errorf("the peer saw %q, want %q", f, row.want)
				}
				_ = nc.Close()
				if err := <-ran; !errors.Is(err, row.is) {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, nc := connect(t, 0, Options{})
		got, ran := frames(nc), make(chan error, 1)
		go func() { ran <- c.Run(ctx, c.Write) }()
		// In the middle of a message, whose rest the peer then still sends.
		m := maskedString(0x81, "half of it")
		mustWrite(t, nc, m[:9])
		synctest.Wait()
		cancel()
		synctest.Wait()
		mustWrite(t, nc, join(m[9:], closing(1001, "")))
		if f := <-got; len(f) != 1 || f[0] != "close 1001" {
			t.Errorf("the peer saw %q", f)
		}
		_ = nc.Close()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// A read whose context ends has lost nothing, wherever it was.
func TestReadGoesOnAfterItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 0, Options{})
		in := join(maskedString(0x01, "Grü"), maskedString(0x80, "ße"), maskedString(0x82, ""))
		for i := range in {
			mustWrite(t, nc, in[i:i+1])
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			op, p, err := c.Read(ctx)
			cancel()
			switch i {
			default:
				if !errors.Is(err, context.DeadlineExceeded) || parley.CodeOf(err) != parley.Timeout {
					t.Fatalf("byte %d: %v %q %v", i, op, p, err)
				}
			case len(in) - 7:
				if op != Text || string(p) != "Grüße" || err != nil {
					t.Fatalf("%v %q %v", op, p, err)
				}
			case len(in) - 1:
				if op != Binary || p == nil || len(p) != 0 || err != nil {
					t.Fatalf("%v %q %v", op, p, err)
				}
			}
		}
		_ = nc.Close()
		for range 2 {
			if _, _, err := c.Read(t.Context()); CloseCodeOf(err) != CloseAbnormal || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("after the peer left: %v", err)
			}
		}
	})
}

// What Read gave stays as it is when more arrives.
func TestReadGivesMemoryAway(t *testing.T) {
	c, nc := connect(t, 0, Options{})
	mustWrite(t, nc, join(maskedString(0x81, "first"), maskedString(0x81, "other")))
	_, a, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.Read(t.Context()); err != nil || string(a) != "first" || string(b) != "other" {
		t.Errorf("%q %q %v", a, b, err)
	}
}

func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t, 64, Options{WriteTimeout: 3 * time.Second})
		ran := echo(c)
		start := time.Now()
		var wg sync.WaitGroup
		for range 5 { // one is stuck in the network, the others behind it
			wg.Go(func() {
				if err := c.Write(Binary, make([]byte, 100)); err == nil || CloseCodeOf(err) != 0 {
					t.Errorf("Write: %v", err)
				}
			})
		}
		wg.Wait()
		if time.Since(start) != 3*time.Second {
			t.Errorf("took %v", time.Since(start))
		}
		if err := c.Write(Text, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		if err := <-ran; CloseCodeOf(err) != CloseAbnormal {
			t.Errorf("Run: %v", err)
		}
	})
}

// Closing does not wait for a writer that is stuck.
func TestCloseBehindAStuckWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t, 64, Options{WriteTimeout: time.Hour, CloseTimeout: time.Second})
		wrote := make(chan error, 1)
		go func() { wrote <- c.Write(Binary, make([]byte, 100)) }()
		synctest.Wait()
		start := time.Now()
		if err := c.Close(CloseSlow, ""); err == nil || time.Since(start) != time.Second {
			t.Errorf("Close: %v after %v", err, time.Since(start))
		}
		if err := <-wrote; err == nil {
			t.Error("Write succeeded")
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	c, _ := connect(t, 0, Options{})
	for _, err := range []error{
		c.Write(Text, []byte("\xFF")),
		c.Write(Ping, nil),
		c.Write(Continuation, nil),
		second(NewFrame(Text, []byte("\xC0\xAF"))),
		second(NewFrame(Close, nil)),
	} {
		if parley.CodeOf(err) != parley.Invalid {
			t.Error(err)
		}
	}
	if err := c.Write(Binary, nil); err != nil {
		t.Errorf("a refused message must leave the connection alone: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// Frames of concurrent writers never mix.
func TestConcurrentWrites(t *testing.T) {
	c, nc := connect(t, 32, Options{Compression: true, CompressAbove: 50})
	got := frames(nc)
	f, err := NewFrame(Text, []byte("prepared"))
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				err := errors.Join(c.Write(Text, make([]byte, 60)), c.Write(Binary, []byte("small")), c.WriteFrames(f, f), c.Ping())
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c.Abort()
	count := map[string]int{}
	for _, s := range <-got {
		count[s]++
	}
	const n = writers * each
	if count["compressed text "+string(make([]byte, 60))] != n || count["binary small"] != n || count["text prepared"] != 2*n || count["ping"] != n || len(count) != 4 {
		t.Errorf("%v", count)
	}
}

func TestFramesAreShared(t *testing.T) {
	long, err := NewFrame(Text, make([]byte, 40<<10))
	if err != nil {
		t.Fatal(err)
	}
	short, err := NewFrame(Binary, []byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, compress := range []bool{true, false} {
		c, nc := connect(t, 1<<20, Options{Compression: compress})
		got := frames(nc)
		if err := errors.Join(c.WriteFrames(), c.WriteFrames(long), c.WriteFrames(short, long, short)); err != nil {
			t.Fatal(err)
		}
		c.Abort()
		want := "text [40960]"
		if compress {
			want = "compressed text [40960]"
		}
		if f := <-got; len(f) != 4 || f[0] != want || f[1] != "binary abc" || f[2] != want || f[3] != "binary abc" {
			t.Errorf("%q", f)
		}
	}
	if long.Opcode() != Text || long.Size() != 4+40<<10 {
		t.Errorf("%v of %d bytes", long.Opcode(), long.Size())
	}
	if a, b := long.bytes(true), long.bytes(true); &a[0] != &b[0] {
		t.Error("compressed twice")
	}
}

// What compression would make longer goes out as it is.
func TestIncompressibleStaysPlain(t *testing.T) {
	c, nc := connect(t, 1<<20, Options{Compression: true, CompressAbove: 1})
	f, err := NewFrame(Text, []byte("ab"))
	if err != nil {
		t.Fatal(err)
	}
	got := frames(nc)
	if err := errors.Join(c.Write(Text, []byte("ab")), c.WriteFrames(f)); err != nil {
		t.Fatal(err)
	}
	c.Abort()
	if f := <-got; len(f) != 2 || f[0] != "text ab" || f[1] != "text ab" {
		t.Errorf("%q", f)
	}
}

// A handler that ends its goroutine must not take the connection with it.
func TestHandlerThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 0, Options{})
		got, ran := frames(nc), make(chan error, 1)
		go func() {
			ran <- c.Run(t.Context(), func(Opcode, []byte) error { runtime.Goexit(); return nil })
		}()
		mustWrite(t, nc, join(maskedString(0x81, "?"), closing(1011, "")))
		if f := <-got; len(f) != 1 || f[0] != "close 1011" {
			t.Errorf("the peer saw %q", f)
		}
		_ = nc.Close()
		if err := <-ran; parley.CodeOf(err) != parley.Internal {
			t.Errorf("Run: %v", err)
		}
	})
}

// Calls of the handler follow one another in order, whether the messages come
// after a pause or at once.
func TestHandlerKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 0, Options{})
		var said []byte
		ran := make(chan error, 1)
		go func() {
			ran <- c.Run(t.Context(), func(_ Opcode, p []byte) error { said = append(said, p...); return nil })
		}()
		for _, pause := range []time.Duration{0, 0, 2 * time.Second, 0, quiet, quiet - 1, 5 * time.Second} {
			<-time.After(pause)
			mustWrite(t, nc, join(maskedString(0x81, "a"), maskedString(0x81, "b")))
			synctest.Wait()
		}
		mustWrite(t, nc, closing(1000, ""))
		_ = nc.Close()
		if err := <-ran; err != nil || string(said) != "ababababababab" {
			t.Errorf("%q, %v", said, err)
		}
	})
}

// Run does not leave a connection behind whose context had ended before.
func TestRunWithAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c, nc := connect(t, 0, Options{})
		got := frames(nc)
		mustWrite(t, nc, closing(1001, ""))
		ran := make(chan error, 1)
		go func() { ran <- c.Run(ctx, c.Write) }()
		if f := <-got; len(f) != 1 || f[0] != "close 1001" {
			t.Errorf("the peer saw %q", f)
		}
		_ = nc.Close()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		<-c.Done()
	})
}

// Nothing of a lost connection stays: no clock, no wait.
func TestCloseAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 0, Options{})
		ran := echo(c)
		_ = nc.Close()
		if err := <-ran; CloseCodeOf(err) != CloseAbnormal {
			t.Errorf("Run: %v", err)
		}
		start := time.Now()
		if err := c.Close(CloseNormal, ""); err == nil || time.Since(start) != 0 || c.closing.Load() {
			t.Errorf("Close: %v after %v", err, time.Since(start))
		}
	})
}

// With ReadBuffer, too, messages of any size arrive whole, one after another.
func TestReadBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 1<<16, Options{ReadBuffer: 16, MaxMessage: 4 << 20})
		sizes := []int{0, 1, 15, 16, 17, 200, 5000, 700_000, 3, 2_000_000, 100, 600_000, 600_000, 40}
		var wire []byte
		want := make([]string, len(sizes))
		for i, size := range sizes {
			want[i] = strings.Repeat(string(rune('a'+i)), size)
			wire = append(wire, maskedString(0x82, want[i])...)
		}
		go func() { _, _ = nc.Write(wire) }()
		for i := range want {
			op, got, err := c.Read(t.Context())
			if err != nil || op != Binary || string(got) != want[i] {
				t.Fatalf("message %d of %d bytes: %v, %d bytes, %v", i, sizes[i], op, len(got), err)
			}
		}
		if held := cap(*c.rx.spare) + len(c.in.own); held > keptMessage+maxOwn {
			t.Errorf("%d bytes are kept", held)
		}
	})
}
