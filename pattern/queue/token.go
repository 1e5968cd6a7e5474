package queue

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
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

// append appends the text of a token.
func (t token) append(text []byte, queue string, with *sealer) []byte {
	raw := binary.AppendUvarint(with.raw[:0], t.term)
	raw = binary.AppendUvarint(appendID(raw, t.id), t.number)
	raw = append(raw, with.mac(t)...)
	return base64.RawURLEncoding.AppendEncode(append(append(text, queue...), '~'), raw)
}

// sealer makes and checks the macs of one owner. It is for one goroutine at a time.
//
// A mac is of an id and a number, which are one block of AES: what the block becomes
// under a secret key is as good as random, and nobody but the owner knows it. The
// queue and the term need not be in it, since no two ownerships share a secret.
type sealer struct {
	aes      cipher.Block
	raw      [3*binary.MaxVarintLen64 + macSize]byte // scratch, as the others
	code     [maxToken]byte
	opened   [maxToken]byte
	in, seal [aes.BlockSize]byte
}

func newSealer(secret *[secretSize]byte) *sealer {
	block, _ := aes.NewCipher(secret[:]) // fails for keys of another size
	return &sealer{aes: block}
}

// mac is good until the next one.
func (s *sealer) mac(t token) []byte {
	binary.BigEndian.PutUint64(s.in[:8], uint64(t.id))
	binary.BigEndian.PutUint64(s.in[8:], t.number)
	s.aes.Encrypt(s.seal[:], s.in[:])
	return s.seal[:macSize]
}

// strict takes no two texts for the same bytes.
var strict = base64.RawURLEncoding.Strict()

// open reads a token of the queue, and checks it if it is of the given term: the
// secrets of other terms are gone, and so are their leases. Errors: Invalid for
// what is no token, is another queue's or forged; Conflict for another term's.
func openToken(text, queue string, term uint64, with *sealer) (token, error) {
	code, mine := strings.CutPrefix(text, queue)
	if mine = mine && len(code) > 1 && code[0] == '~' && len(text) <= maxToken; !mine {
		name, err := QueueOf(text)
		if err != nil {
			return token{}, err
		}
		return token{}, parley.BadField("lease", "is a lease of the queue "+name, "settle it there")
	}
	n, err := strict.Decode(with.opened[:], append(with.code[:0], code[1:]...))
	if err != nil || n < macSize {
		return token{}, notLease()
	}
	body, sum := with.opened[:n-macSize], with.opened[n-macSize:n]
	d := decoder{b: body}
	t := token{term: d.number(), id: d.id(), number: d.number()}
	if d.bad || len(d.b) > 0 {
		return token{}, notLease()
	}
	if t.term != term {
		return t, ended("the queue's owner has changed since, and with it all leases ended")
	}
	if subtle.ConstantTimeCompare(sum, with.mac(t)) != 1 {
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
