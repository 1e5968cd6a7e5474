package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/destel/rill"

	"github.com/parleyhq/parley/pattern/pipe"
)

// stages compares the stages of libraries.
func stages(events int) []side {
	checked := func(part int, run func(context.Context, int) (int, error)) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			n := events / part
			got, err := run(ctx, n)
			if want := sum(n); err == nil && got != want {
				err = fmt.Errorf("%d, want %d", got, want)
			}
			return n, err
		}
	}
	return []side{{"parley", checked(1, parleyStages)}, {"rill", checked(1, overRill)}, {"watermill", checked(10, overWatermill)}}
}

func sum(n int) (total int) {
	for i := range n {
		if v := i + 3; v%2 == 0 {
			total += v
		}
	}
	return total
}

// numbers is a source of 0 to n-1 in slices of 256.
type numbers struct {
	at, n int
	buf   []int
}

func (s *numbers) Next(context.Context) ([]int, error) {
	s.buf = s.buf[:0]
	for len(s.buf) < 256 && s.at < s.n {
		s.buf = append(s.buf, s.at)
		s.at++
	}
	if s.at == s.n {
		return s.buf, io.EOF
	}
	return s.buf, nil
}

// Ack has the pipe keep account of what is done, as a source over a log does.
func (s *numbers) Ack(context.Context, int64) error { return nil }

func parleyStages(ctx context.Context, n int) (total int, err error) {
	f := pipe.From(pipe.Source[int](&numbers{n: n}))
	for range 3 {
		f = pipe.Map(f, func(_ context.Context, v int) (int, error) { return v + 1, nil })
	}
	f = pipe.Filter(f, func(_ context.Context, v int) (bool, error) { return v%2 == 0, nil })
	sink := pipe.SinkFunc[[]int](func(_ context.Context, batches [][]int) error {
		for _, b := range batches {
			for _, v := range b {
				total += v
			}
		}
		return nil
	})
	err = pipe.Run(ctx, pipe.Options{}, pipe.To(pipe.Batch(f, pipe.BatchOptions[int]{Count: 100}), sink))
	return total, err
}

func overRill(_ context.Context, n int) (total int, err error) {
	in := make(chan rill.Try[int], 256)
	go func() {
		defer close(in)
		for i := range n {
			in <- rill.Try[int]{Value: i}
		}
	}()
	var f <-chan rill.Try[int] = in
	for range 3 {
		f = rill.OrderedMap(f, 1, func(v int) (int, error) { return v + 1, nil })
	}
	f = rill.OrderedFilter(f, 1, func(v int) (bool, error) { return v%2 == 0, nil })
	err = rill.ForEach(rill.Batch(f, 100, -1), 1, func(b []int) error {
		for _, v := range b {
			total += v
		}
		return nil
	})
	return total, err
}

// overWatermill has no batches: each message is acknowledged when its handlers have
// passed it on.
func overWatermill(ctx context.Context, n int) (total int, err error) {
	logger := watermill.NopLogger{}
	bus := gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: 256}, logger)
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		return 0, err
	}
	plus := func(m *message.Message) ([]*message.Message, error) {
		return []*message.Message{message.NewMessage(m.UUID, number(value(m)+1))}, nil
	}
	for i := range 3 {
		router.AddHandler(fmt.Sprint("plus", i), fmt.Sprint(i), bus, fmt.Sprint(i+1), bus, plus)
	}
	done := make(chan struct{})
	left := n
	router.AddNoPublisherHandler("sum", "3", bus, func(m *message.Message) error {
		if v := value(m); v%2 == 0 {
			total += v
		}
		if left--; left == 0 {
			close(done)
		}
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	<-router.Running()
	for i := range n {
		if err := bus.Publish("0", message.NewMessage("", number(i))); err != nil {
			return 0, err
		}
	}
	<-done
	if err := router.Close(); err != nil {
		return 0, err
	}
	return total, <-ended
}

func number(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func value(m *message.Message) int { return int(binary.BigEndian.Uint64(m.Payload)) }
