package cursor

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
	"strconv"
	"sync"

	"github.com/parleyhq/parley"
)

// MaxMarks is how many streams a token may speak of.
const MaxMarks = 64

const (
	plain     = 1
	signed    = 2
	macSize   = 8
	maxMark   = binary.MaxVarintLen64 + binary.MaxVarintLen32 + binary.MaxVarintLen64
	maxBinary = 2 + MaxMarks*maxMark + macSize
)

// encoding is strict: of the bits that the last character may leave over, none
// may be set.
var encoding = base64.RawURLEncoding.Strict()

// Mark is a reader's place in one stream.
type Mark struct {
	Number uint64          // the stream's number, which is never used for another
	Epoch  uint32          // the stream's epoch when the place was taken
	Next   parley.Position // where to read on; 0 = from the earliest event
}

// Key signs tokens. Its ID travels in them.
type Key struct {
	ID     byte
	Secret [32]byte
}

// Sealer writes and reads tokens. Its zero value writes plain ones and reads
// nothing else; it is for a library that has nobody to be protected from. It is
// safe for concurrent use.
type Sealer struct {
	keys []key
}

type key struct {
	id      byte
	signers *sync.Pool // of *signer
}

// signer is a keyed hash, which costs more to make than to use, with its input
// and output, which a call through an interface would otherwise allocate.
type signer struct {
	hash hash.Hash
	in   []byte
	out  [sha256.Size]byte
}

// NewSealer makes a Sealer that signs with the first key and accepts the
// signatures of all. Without keys it is as the zero Sealer. Of keys with the
// same ID the first counts.
func NewSealer(keys ...Key) *Sealer {
	s := &Sealer{keys: make([]key, 0, len(keys))}
	for _, k := range keys {
		s.keys = append(s.keys, key{k.ID, &sync.Pool{New: func() any {
			return &signer{hash: hmac.New(sha256.New, k.Secret[:])}
		}}})
	}
	return s
}

// Seal gives the token of a reader's places, which are at most MaxMarks and of
// different streams; their order does not matter. No place at all has a token
// too: that of a reader whose streams do not exist yet.
func (s *Sealer) Seal(namespace string, marks []Mark) string {
	return string(s.Append(nil, namespace, marks))
}

// Append appends the token to dst. A nil Sealer seals as the zero one.
func (s *Sealer) Append(dst []byte, namespace string, marks []Mark) []byte {
	if s == nil {
		s = new(Sealer)
	}
	var room [128]byte
	b := room[:0]
	if len(s.keys) == 0 {
		b = append(b, plain)
	} else {
		b = append(b, signed, s.keys[0].id)
	}
	byNumber := func(a, b Mark) int { return cmp.Compare(a.Number, b.Number) }
	if !slices.IsSortedFunc(marks, byNumber) {
		marks = slices.Clone(marks)
		slices.SortFunc(marks, byNumber)
	}
	last := uint64(0)
	for _, m := range marks {
		b = binary.AppendUvarint(b, m.Number-last)
		b = binary.AppendUvarint(b, uint64(m.Epoch))
		b = binary.AppendUvarint(b, uint64(max(m.Next, 0)))
		last = m.Number
	}
	if len(s.keys) > 0 {
		mac := s.keys[0].sign(namespace, b)
		b = append(b, mac[:]...)
	}
	return encoding.AppendEncode(dst, b)
}

// sign gives the signature of body. The namespace comes with its length, so that
// nothing can be moved from one to the other.
func (k key) sign(namespace string, body []byte) (mac [macSize]byte) {
	s := k.signers.Get().(*signer) // the pool makes nothing else
	defer k.signers.Put(s)
	s.in = binary.AppendUvarint(s.in[:0], uint64(len(namespace)))
	s.in = append(append(s.in, namespace...), body...)
	s.hash.Reset()
	s.hash.Write(s.in)
	return [macSize]byte(s.hash.Sum(s.out[:0]))
}

// Open gives the places of a token, by stream number. Every error is a BadCursor
// and says whether the token is garbage, was changed, or comes from elsewhere.
func (s *Sealer) Open(namespace, token string) ([]Mark, error) {
	if len(token) > encoding.EncodedLen(maxBinary) {
		return nil, bad("is longer than any cursor")
	}
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) == 0 || encoding.EncodedLen(len(b)) != len(token) { // it skips line breaks
		return nil, bad("is not a cursor")
	}
	body, err := s.verify(namespace, b)
	if err != nil {
		return nil, err
	}
	marks, err := cutMarks(body)
	if err != nil {
		return nil, err
	}
	return marks, nil
}

// verify checks format and signature and gives the marks.
func (s *Sealer) verify(namespace string, b []byte) ([]byte, error) {
	switch {
	case b[0] == plain && len(s.keys) > 0:
		return nil, bad("is not signed")
	case b[0] == plain:
		return b[1:], nil
	case b[0] != signed:
		return nil, bad("has format " + strconv.Itoa(int(b[0])) + "; it is no cursor, or one of a newer version")
	case len(s.keys) == 0:
		return nil, bad("is signed, and there is no key here to check it with")
	case len(b) < 2+macSize:
		return nil, bad("is cut short")
	}
	body, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	i := slices.IndexFunc(s.keys, func(k key) bool { return k.id == b[1] })
	if i < 0 {
		return nil, bad("is signed with a key that is not known here: it was changed, or another server made it")
	}
	if want := s.keys[i].sign(namespace, body); !hmac.Equal(mac, want[:]) {
		return nil, bad("does not match its signature: it was changed, or another server or namespace made it")
	}
	return body[2:], nil
}

func cutMarks(b []byte) ([]Mark, error) {
	var marks []Mark
	last := uint64(0)
	for len(b) > 0 {
		var fields [3]uint64
		for i := range fields {
			var ok bool
			if fields[i], b, ok = cutUvarint(b); !ok {
				return nil, bad("is cut short or badly written")
			}
		}
		m := Mark{Number: last + fields[0], Epoch: uint32(fields[1]), Next: parley.Position(fields[2])}
		switch {
		case len(marks) == MaxMarks:
			return nil, bad("speaks of more than " + strconv.Itoa(MaxMarks) + " streams")
		case m.Number < last, len(marks) > 0 && fields[0] == 0:
			return nil, bad("speaks of streams out of order")
		case uint64(m.Epoch) != fields[1], m.Next < 0:
			return nil, bad("holds a number that is out of range")
		}
		marks = append(marks, m)
		last = m.Number
	}
	return marks, nil
}

// cutUvarint takes a varint off b, in its shortest form only.
func cutUvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, b, false
	}
	return v, b[n:], true
}

func bad(what string) error {
	return &parley.Error{
		Code: parley.BadCursor, Field: "cursor", Detail: "the cursor " + what,
		Fix: `send a cursor as this server gave it, unchanged, or start from "earliest" or "latest"`,
	}
}
