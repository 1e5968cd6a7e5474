package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// bareLog is the least that a durable log can be: connections copy what they got
// into one buffer, one goroutine writes it and flushes it, and all that were in it
// are acknowledged. Nothing can be read back but by the whole.
type bareLog struct {
	mu   sync.Mutex
	buf  []byte
	wait chan struct{} // closed when buf is durable
	kick chan struct{}
	file *os.File
	at   int64
	err  error
}

// bareSize is preallocated, as a log does: a flush then writes no metadata.
const bareSize = 4 << 30

func serveBare(ln net.Listener, dir string) error {
	f, err := os.Create(dir + "/bare.log")
	if err != nil {
		return err
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, bareSize); err != nil {
		return err
	}
	l := &bareLog{file: f, wait: make(chan struct{}), kick: make(chan struct{}, 1)}
	go l.run()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go l.serve(conn)
	}
}

func (l *bareLog) run() {
	var out []byte
	for range l.kick {
		l.mu.Lock()
		out, l.buf = l.buf, out[:0]
		done := l.wait
		l.wait = make(chan struct{})
		l.mu.Unlock()
		if l.at+int64(len(out)) > bareSize {
			l.at = 0
		}
		_, err := l.file.WriteAt(out, l.at)
		err = errors.Join(err, syscall.Fdatasync(int(l.file.Fd())))
		l.at += int64(len(out))
		l.err = err // before close: who waits reads it after
		close(done)
	}
}

// serve takes requests of a length and so many bytes, and answers each with one.
func (l *bareLog) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	var head [8]byte
	var body []byte
	for {
		if _, err := io.ReadFull(r, head[:4]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(head[:])
		if cap(body) < int(n) {
			body = make([]byte, n)
		}
		body = body[:n]
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		binary.BigEndian.PutUint32(head[4:], crc32.Checksum(body, castagnoli))
		l.mu.Lock()
		l.buf = append(append(l.buf, head[:]...), body...)
		done := l.wait
		l.mu.Unlock()
		select {
		case l.kick <- struct{}{}:
		default:
		}
		<-done
		if l.err != nil {
			return
		}
		if _, err := conn.Write([]byte{1}); err != nil {
			return
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type bareProducer struct {
	conn net.Conn
	buf  []byte
}

func dialBare(addr string) (producer, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &bareProducer{conn: conn}, nil
}

func (p *bareProducer) append(n int, payload []byte) error {
	p.buf = binary.BigEndian.AppendUint32(p.buf[:0], uint32(n*(len(payload)+4)))
	for range n {
		p.buf = binary.BigEndian.AppendUint32(p.buf, uint32(len(payload)))
		p.buf = append(p.buf, payload...)
	}
	if _, err := p.conn.Write(p.buf); err != nil {
		return err
	}
	_, err := io.ReadFull(p.conn, p.buf[:1])
	return err
}

func (p *bareProducer) close() { _ = p.conn.Close() }
