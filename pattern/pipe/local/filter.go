package local

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// filter is one long process that answers each event, in their order. When it fails
// it is ended and started again, with a pause that grows.
type filter struct {
	*spawner
	now    *conversation
	failed int // starts in a row without an answer
}

// conversation is a process that answers.
type conversation struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan answer // closed when there are no more
	stop    context.CancelFunc
	said    *tail
	ended   chan struct{}
}

type answer struct {
	data []byte
	err  error
}

var errQuiet = errors.New("no answer")

// Do implements graph.Running.
func (f *filter) Do(ctx context.Context, inputs [][]byte) []graph.Result {
	results := make([]graph.Result, len(inputs))
	for at := 0; at < len(inputs); {
		results[at].Attempts++
		n, err := f.converse(ctx, inputs[at:], results[at:])
		at += n
		if n > 0 {
			f.failed = 0
		}
		if err == nil || at == len(inputs) {
			continue
		}
		r := &results[at]
		if n > 0 {
			r.Attempts++ // it was among those that were given
		}
		if ctx.Err() != nil {
			for i := at; i < len(results); i++ {
				results[i].Err = context.Cause(ctx)
			}
			return results
		}
		if r.Attempts >= f.Attempts || pipe.IsPermanent(err) {
			r.Err = err
			at++
		}
	}
	return results
}

// converse gives the process inputs and takes its answers; n is how many it gave.
func (f *filter) converse(ctx context.Context, inputs [][]byte, results []graph.Result) (n int, err error) {
	frames := make([][]byte, 0, len(inputs))
	for _, in := range inputs {
		frame, err := f.frame(in)
		if err != nil {
			if len(frames) == 0 {
				return 0, err
			}
			break // those before it first
		}
		frames = append(frames, frame)
	}
	if err := f.start(ctx); err != nil {
		return 0, err
	}
	c := f.now
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		for _, frame := range frames {
			if _, err := c.in.Write(frame); err != nil {
				return // the process has ended: no answer will say so
			}
		}
	}()
	for n < len(frames) && err == nil {
		var a answer
		if a, err = f.answer(ctx, c); err == nil {
			if results[n].Attempts == 0 {
				results[n].Attempts = 1
			}
			if !(f.Framing == "ndjson" && bytes.Equal(bytes.TrimSpace(a.data), []byte("null"))) {
				results[n].Out = [][]byte{a.data}
			}
			n++
		}
	}
	if err != nil {
		f.failed++
		err = f.explain(c, err)
	}
	<-wrote
	return n, err
}

// answer waits for one.
func (f *filter) answer(ctx context.Context, c *conversation) (answer, error) {
	t := time.NewTimer(f.Timeout)
	defer t.Stop()
	select {
	case a, open := <-c.answers:
		if !open {
			return a, io.EOF
		}
		return a, a.err
	case <-t.C:
		return answer{}, errQuiet
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

// explain ends the process, and makes an error of why it had to.
func (f *filter) explain(c *conversation, err error) error {
	f.end()
	name := f.Command[0]
	switch {
	case errors.Is(err, errQuiet):
		return &parley.Error{
			Code: parley.Timeout, Detail: fmt.Sprintf("%s gave no answer within %s", name, f.Timeout),
			Fix: "let it write one answer for each event and flush it: stdbuf -oL PROGRAM, python -u, sed -u, grep --line-buffered, jq --unbuffered; or give it more --timeout",
		}
	case errors.Is(err, io.EOF):
		e := &parley.Error{Code: parley.Unprocessable, Detail: fmt.Sprintf("%s ended with exit code %d before it had answered", name, exitCode(c.cmd.ProcessState)), Fix: "let it go on until its input ends"}
		if said := c.said.String(); said != "" {
			e.Detail += ": " + said
		}
		return e
	}
	return err
}

// start starts the process, unless it is there.
func (f *filter) start(ctx context.Context) error {
	if f.now != nil {
		select {
		case _, open := <-f.now.answers: // nobody has asked
			f.end()
			if open {
				return pipe.Permanent(&parley.Error{Code: parley.Unprocessable, Detail: f.Command[0] + " gave more answers than events", Fix: "let it write one for each; use --mode batch for a program that does not"})
			}
		default:
			return nil
		}
	}
	if f.failed > 0 {
		pause := min(100*time.Millisecond<<min(f.failed-1, 10), 5*time.Second)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx)) // it lives longer than this step; Close ends it
	cmd := f.command(life)
	c := &conversation{cmd: cmd, answers: make(chan answer), stop: stop, said: &tail{}, ended: make(chan struct{})}
	cmd.Stderr = io.MultiWriter(f.log, c.said)
	in, err := cmd.StdinPipe()
	var out io.ReadCloser
	if err == nil {
		out, err = cmd.StdoutPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return pipe.Permanent(&parley.Error{Code: parley.NotFound, Detail: err.Error(), Fix: "check the program"})
	}
	c.in = in
	go c.listen(life, bufio.NewReaderSize(out, 64<<10), f.Framing, f.MaxOutput)
	f.now = c
	return nil
}

// listen reads answers until there are none, and then sees the process off.
func (c *conversation) listen(ctx context.Context, from *bufio.Reader, framing string, most int) {
	defer close(c.ended)
	for {
		data, err := readFrame(from, framing, most)
		if errors.Is(err, io.EOF) {
			break
		}
		select {
		case c.answers <- answer{data, err}:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			break
		}
	}
	_ = c.cmd.Wait() // its exit code is in its state
	sweep(c.cmd)
	close(c.answers)
}

func (f *filter) end() {
	c := f.now
	if c == nil {
		return
	}
	f.now = nil
	_ = c.in.Close() // it may be closed
	c.stop()
	for range c.answers { // until it has ended
	}
	<-c.ended
}

// Close implements graph.Running.
func (f *filter) Close() error {
	f.end()
	return nil
}

func (f *filter) frame(in []byte) ([]byte, error) {
	if f.Framing == "length" {
		return append(binary.BigEndian.AppendUint32(make([]byte, 0, len(in)+4), uint32(len(in))), in...), nil
	}
	line, err := oneLine(in)
	if err != nil {
		return nil, pipe.Permanent(err)
	}
	return append(append(make([]byte, 0, len(line)+1), line...), '\n'), nil
}

// readFrame reads one answer. Nothing is set aside for a length that is only said.
func readFrame(from *bufio.Reader, framing string, most int) ([]byte, error) {
	tooLong := &parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("an answer has more than %d bytes", most), Fix: "give it more --max-output"}
	if framing == "length" {
		var head [4]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return nil, io.EOF
		}
		n := int64(binary.BigEndian.Uint32(head[:]))
		if n > int64(most) {
			return nil, tooLong
		}
		var data bytes.Buffer
		if _, err := io.CopyN(&data, from, n); err != nil {
			return nil, io.EOF
		}
		return data.Bytes(), nil
	}
	var line []byte
	for {
		part, err := from.ReadSlice('\n')
		if line = append(line, part...); len(line) > most+1 {
			return nil, tooLong
		}
		if err == nil {
			return line[:len(line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, io.EOF // a line that is not ended is no answer
		}
	}
}
