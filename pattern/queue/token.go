package queue

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// token is what names a lease: {queue}~base64url(term id number mac). The mac is
// of the owner's secret, which is new with every ownership, so nobody can make
// the token of a lease that they were not given.
type token struct {
	term   uint64 // of the owner
	id     int64
	number uint64 // of the lease, among the owner's
}

const (
	secretSize = 32
	macSize    = 10
	maxToken   = topic.MaxName + 64
)

// seal makes the text of a token.
func (t token) seal(queue string, with *sealer) string {
	b := binary.AppendUvarint(nil, t.term)
	b = binary.AppendUvarint(appendID(b, t.id), t.number)
	return queue + "~" + base64.RawURLEncoding.EncodeToString(append(b, with.mac(queue, b)...))
}

// sealer makes and checks the macs of one owner. It is for one goroutine at a time.
type sealer struct {
	hash hash.Hash
	buf  []byte // scratch
}

func newSealer(secret *[secretSize]byte) *sealer {
	return &sealer{hash: hmac.New(sha256.New, secret[:])}
}

// mac is good until the next one.
func (s *sealer) mac(queue string, body []byte) []byte {
	s.hash.Reset()
	s.buf = append(append(append(s.buf[:0], queue...), '~'), body...)
	_, _ = s.hash.Write(s.buf) // never fails
	s.buf = s.hash.Sum(s.buf[:0])
	return s.buf[:macSize]
}

// open reads a token of the queue, and checks it if it is of the given term: the
// secrets of other terms are gone, and so are their leases. Errors: Invalid for
// what is no token, is another queue's or forged; Conflict for another term's.
func openToken(text, queue string, term uint64, with *sealer) (token, error) {
	name, err := QueueOf(text)
	if err != nil {
		return token{}, err
	}
	if name != queue {
		return token{}, parley.BadField("lease", "is a lease of the queue "+name, "settle it there")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text[len(name)+1:])
	if err != nil || len(raw) < macSize {
		return token{}, notLease()
	}
	body, sum := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	d := decoder{b: body}
	t := token{term: d.number(), id: d.id(), number: d.number()}
	if d.bad || len(d.b) > 0 {
		return token{}, notLease()
	}
	if t.term != term {
		return t, ended("the queue's owner has changed since, and with it all leases ended")
	}
	if !hmac.Equal(sum, with.mac(queue, body)) {
		return token{}, notLease()
	}
	return t, nil
}

// QueueOf gives the name of the queue that a lease's token is of, for a door that
// is given nothing else. Error: Invalid.
func QueueOf(lease string) (string, error) {
	name, rest, found := strings.Cut(lease, "~")
	if !found || rest == "" || len(lease) > maxToken || topic.CheckName(name) != nil {
		return "", notLease()
	}
	return name, nil
}

func notLease() error {
	return parley.BadField("lease", "not the token of a lease", "send one as Lease answered it")
}

// ended is the error of a lease that was good once.
func ended(why string) error {
	return &parley.Error{Code: parley.Conflict, Field: "lease", Detail: "the lease is over: " + why, Fix: "drop the job's result; whoever holds the job now settles it"}
}
