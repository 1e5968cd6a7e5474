package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/local"
	"github.com/parleyhq/parley/pattern/pipe/where"
)

// line is the n-th line of the file: about 130 bytes.
func line(n int) []byte {
	return fmt.Appendf(nil, `{"id":%d,"total":%d,"city":"Bonn","customer":{"name":"Customer %d","vip":%t},"tags":["a","b"],"note":"deliver after %d o'clock"}`+"\n", n, n%200, n%1000, n%7 == 0, n%24)
}

// files compares ways from a file to a file: lines whose total is over 99, which is
// half of them, as {"id": …, "name": …}.
func files(lines int, dir string) ([]side, error) {
	in := filepath.Join(dir, "in.ndjson")
	f, err := os.Create(in)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriter(f)
	for i := range lines {
		_, _ = w.Write(line(i)) // Flush tells
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	var want []byte
	one := func(run func(ctx context.Context, in, out string) error) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			out := filepath.Join(dir, "out.ndjson")
			if err := run(ctx, in, out); err != nil {
				return 0, err
			}
			got, err := os.ReadFile(out)
			if err != nil {
				return 0, err
			}
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				return 0, fmt.Errorf("it wrote %d bytes that are not those of the first", len(got))
			}
			return lines, os.Remove(out)
		}
	}
	return []side{{"loop with encoding/json", one(byHand)}, {"the loop again", one(byHand)}, {"pipe over events", one(byPipe)}}, nil
}

func byHand(_ context.Context, in, out string) error {
	from, err := os.Open(in)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(out)
	if err != nil {
		return err
	}
	defer to.Close()
	w := bufio.NewWriterSize(to, 64<<10)
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var v struct {
			ID       int
			Total    float64
			Customer struct{ Name string }
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return err
		}
		if v.Total <= 99 {
			continue
		}
		b, err := json.Marshal(struct {
			ID   int    `json:"id"`
			Name string `json:"name"`
		}{v.ID, v.Customer.Name})
		if err != nil {
			return err
		}
		_, _ = w.Write(append(b, '\n')) // Flush tells
	}
	return w.Flush()
}

func byPipe(ctx context.Context, in, out string) error {
	g, err := graph.ParseText("file " + in + " | where data.total > 99 | map {id: .id, name: .customer.name} | file " + out)
	if err != nil {
		return err
	}
	p, err := graph.Compile(g, languages())
	if err != nil {
		return err
	}
	_, err = local.Run(ctx, p, local.Env{})
	return err
}

func languages() graph.Options {
	return graph.Options{Expr: where.Compile, Fields: where.Fields, Test: where.Test, JQ: jq.Compile, Template: jq.Template}
}
