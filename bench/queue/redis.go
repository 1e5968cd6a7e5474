package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"
)

// redis is Debian's redis-server.
type redis struct {
	cmd     *exec.Cmd
	addr    string
	workers atomic.Int64
}

func startRedis(dir string) (instance, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errAbsent
	}
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	r := &redis{cmd: exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0"), addr: addr}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	if err := answers(r.addr); err != nil {
		r.stop()
		return nil, err
	}
	c, err := r.dial()
	if err != nil {
		return nil, err
	}
	defer c.close()
	return r, c.do([][]string{{"XGROUP", "CREATE", "bench", "g", "0", "MKSTREAM"}}, nil)
}

// freePort is one for a server to take.
func freePort() (addr, port string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer ln.Close()
	_, port, err = net.SplitHostPort(ln.Addr().String())
	return ln.Addr().String(), port, err
}

// answers waits until a server takes connections.
func answers(addr string) error {
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		<-time.After(50 * time.Millisecond)
	}
	return fmt.Errorf("%s does not answer", addr)
}

func (r *redis) pid() int { return r.cmd.Process.Pid }
func (r *redis) stop()    { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() }

type redisConn struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
	name string
}

func (r *redis) dial() (*redisConn, error) {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		return nil, err
	}
	return &redisConn{conn: conn, r: bufio.NewReaderSize(conn, 1<<17), name: "w" + strconv.FormatInt(r.workers.Add(1), 10)}, nil
}

func (r *redis) enqueuer() (enqueuer, error) { return r.dial() }
func (r *redis) worker() (worker, error)     { return r.dial() }

func (c *redisConn) command(args ...string) {
	c.buf = append(strconv.AppendInt(append(c.buf, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		c.buf = append(strconv.AppendInt(append(c.buf, '$'), int64(len(a)), 10), "\r\n"...)
		c.buf = append(append(c.buf, a...), "\r\n"...)
	}
}

// do sends commands as a pipeline and reads the answers, whose bulk strings go to
// each.
func (c *redisConn) do(commands [][]string, each func([]byte)) error {
	c.buf = c.buf[:0]
	for _, args := range commands {
		c.command(args...)
	}
	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}
	for range commands {
		if err := c.read(each); err != nil {
			return err
		}
	}
	return nil
}

func (c *redisConn) read(each func([]byte)) error {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	switch line[0] {
	case '-':
		return errors.New(string(line))
	case '*':
		for range n {
			if err := c.read(each); err != nil {
				return err
			}
		}
	case '$':
		if n < 0 {
			return nil
		}
		if each == nil {
			_, err = c.r.Discard(n + 2)
			return err
		}
		b, err := c.r.Peek(n + 2)
		if err != nil {
			return err
		}
		each(b[:n])
		_, err = c.r.Discard(n + 2)
		return err
	}
	return nil
}

func (c *redisConn) enqueue(n int, payload []byte) error {
	c.buf = c.buf[:0]
	text := string(payload)
	for range n {
		c.command("XADD", "bench", "*", "d", text)
	}
	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}
	for range n {
		if err := c.read(nil); err != nil {
			return err
		}
	}
	return nil
}

// work reads as a member of the group, and acks what it has read with one command.
func (c *redisConn) work(ctx context.Context, done func(int)) error {
	defer context.AfterFunc(ctx, c.close)()
	for ctx.Err() == nil {
		ack := []string{"XACK", "bench", "g"}
		err := c.do([][]string{{"XREADGROUP", "GROUP", "g", c.name, "COUNT", strconv.Itoa(batch), "BLOCK", "1000", "STREAMS", "bench", ">"}}, func(b []byte) {
			if len(b) > 10 && len(b) < 30 && bytes.IndexByte(b, '-') > 0 { // an id
				ack = append(ack, string(b))
			}
		})
		if err != nil {
			return err
		}
		if len(ack) == 3 {
			continue
		}
		if err := c.do([][]string{ack}, nil); err != nil {
			return err
		}
		done(len(ack) - 3)
	}
	return nil
}

func (c *redisConn) close() { _ = c.conn.Close() }
