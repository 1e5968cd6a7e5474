//go:build unix

package door

import (
	"crypto/tls"
	"net"
	"syscall"
)

// TryWrite writes as much as the socket takes without waiting. A connection that
// has no socket of its own, or encrypts, gives 0 when it cannot tell.
func TryWrite(conn net.Conn, b []byte) (int, error) {
	raw := socketOf(conn)
	if raw == nil {
		return 0, nil
	}
	var n int
	var err error
	ctl := raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), b)
		return true // never wait for the socket here
	})
	switch {
	case ctl != nil:
		return 0, ctl
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil
	case err != nil:
		return 0, err
	}
	return n, nil
}

func socketOf(conn net.Conn) syscall.RawConn {
	if _, encrypts := conn.(*tls.Conn); encrypts {
		return nil
	}
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = c.NetConn()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
