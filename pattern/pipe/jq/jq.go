package jq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/itchyny/gojq"

	"github.com/parleyhq/parley"
)

// Limits of programs.
const (
	MaxBytes  = 16 << 10
	MaxValues = 10_000      // that one event becomes
	MaxTime   = time.Second // for one event
)

// Compile makes a function of a program. Values are those of JSON: maps, slices,
// strings, int, *big.Int, float64, bool and nil; the input is not changed. The
// function is safe for concurrent use. Errors: Invalid of Compile, and of the
// function Unprocessable, Timeout, TooLarge and the cause of its context.
func Compile(text string) (func(ctx context.Context, data any) ([]any, error), error) {
	if len(text) > MaxBytes {
		return nil, &parley.Error{Code: parley.TooLarge, Field: "jq", Detail: fmt.Sprintf("the program has more than %d bytes", MaxBytes), Fix: "write several stages"}
	}
	query, err := gojq.Parse(text)
	if err != nil {
		told := parley.BadField("jq", "the program cannot be read: "+err.Error(), "see the manual of jq; programs with a | of their own need quotes")
		if e, ok := errors.AsType[*gojq.ParseError](err); ok {
			told.Detail += fmt.Sprintf(", at character %d", max(e.Offset-len(e.Token), 0)+1)
		}
		return nil, told
	}
	code, err := bounded(text)
	if err != nil {
		return nil, parley.BadField("jq", "the program cannot be used: "+err.Error(), "see the manual of jq")
	}
	p, plain := plainOf(query)
	return func(ctx context.Context, data any) ([]any, error) {
		if plain {
			if v, ok := p.run(data); ok {
				return []any{v}, nil
			}
		}
		return run(ctx, code, data)
	}, nil
}

var errSlow = errors.New("jq takes too long")

func run(ctx context.Context, code *gojq.Code, data any) ([]any, error) {
	within, cancel := context.WithTimeoutCause(ctx, MaxTime, errSlow)
	defer cancel()
	var all []any
	values := code.RunWithContext(within, data)
	for {
		v, ok := values.Next()
		if !ok {
			return all, nil
		}
		if err, failed := v.(error); failed {
			if halt, ok := errors.AsType[*gojq.HaltError](err); ok && halt.Value() == nil {
				return all, nil
			}
			return nil, failure(ctx, within, err)
		}
		if len(all) == MaxValues {
			return nil, &parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("the program gives more than %d values", MaxValues), Fix: "let it give fewer"}
		}
		all = append(all, v)
	}
}

func failure(ctx, within context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if within.Err() != nil {
		return &parley.Error{Code: parley.Timeout, Detail: "the program takes more than " + MaxTime.String(), Fix: "let it do less, or end"}
	}
	return &parley.Error{Code: parley.Unprocessable, Detail: "the program fails: " + err.Error(), Fix: "use ? or // for what may be missing", Err: err}
}
