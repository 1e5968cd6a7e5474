package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/parleyhq/parley/pattern/pipe"
)

// Text becomes numbers; what is none goes to a place of its own, and the rest is
// worked on in lanes and stays in order.
func Example() {
	ctx := context.Background()
	numbers := pipe.Map(pipe.From(pipe.Of("3", "4", "five", "6")), func(_ context.Context, s string) (int, error) {
		return strconv.Atoi(s)
	}).Named("parse")
	squares := pipe.Parallel(numbers, pipe.Lanes[int]{N: 2, Order: pipe.OrderTotal}, func(lane pipe.Flow[int]) pipe.Flow[int] {
		return pipe.Map(lane, func(_ context.Context, n int) (int, error) { return n * n, nil })
	})
	sink := pipe.SinkFunc[int](func(_ context.Context, got []int) error {
		fmt.Println("squares:", got)
		return nil
	})
	err := pipe.Run(ctx, pipe.Options{
		Dead: func(_ context.Context, d pipe.Dead) error {
			fmt.Printf("dead: %v in %s: %v\n", d.Event, d.Stage, errors.Unwrap(d.Err))
			return nil
		},
	}, pipe.To(squares, sink))
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// dead: five in parse: invalid syntax
	// squares: [9 16 36]
}

// Two flows of one: what is in both is done when both sinks have it.
func ExampleTee() {
	two := pipe.Tee(pipe.From(pipe.Of("a", "b", "c")), 2)
	count := 0
	counter := pipe.SinkFunc[string](func(_ context.Context, got []string) error { count += len(got); return nil })
	first := pipe.SinkFunc[string](func(_ context.Context, got []string) error { fmt.Println(got); return nil })
	if err := pipe.Run(context.Background(), pipe.Options{}, pipe.To(two[0], counter), pipe.To(pipe.Take(two[1], 2), first)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(count)
	// Output:
	// [a b]
	// 3
}
