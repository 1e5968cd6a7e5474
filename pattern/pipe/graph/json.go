package graph

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// MaxDepthOfData bounds how deep JSON data may be.
const MaxDepthOfData = 1000

var (
	errNumber = errors.New("a number is too large")
	errDeep   = parley.Errorf(parley.TooLarge, "the data is over %d levels deep", MaxDepthOfData)
)

// decode makes a value of JSON (RFC 8259): maps, slices, strings, int, *big.Int,
// float64, bool and nil. Of several members with one name the last counts, and what
// is not UTF-8 in strings becomes U+FFFD, as in encoding/json.
func decode(data []byte) (any, error) { return decodeOnly(data, nil) }

// decodeOnly decodes the members that are needed, and checks the rest without
// making anything of it; but what is no object is decoded as a whole. A number that
// is too large matters only where it is needed. The objects that need describes are
// its own, and used again by the next call.
func decodeOnly(data []byte, n *need) (any, error) {
	d := decoder{text: data}
	v, err := d.value(n)
	if err != nil {
		return nil, err
	}
	if d.space(); d.at < len(data) {
		return nil, parley.Errorf(parley.Unprocessable, "the data is not JSON: there is something behind it, at byte %d", d.at+1)
	}
	return v, nil
}

// isOne says that data is one value of JSON, however deep.
func isOne(data []byte) bool {
	d := decoder{text: data}
	err := d.skip()
	if errors.Is(err, errDeep) {
		return json.Valid(data)
	}
	d.space()
	return err == nil && d.at == len(data)
}

// need says which members of an object are wanted. Nil is all of it.
type need struct {
	names   []string
	members []*need
	object  map[string]any // what is made of it
}

// needs makes one need of paths. One that goes on where another ends is part of it.
func needs(paths [][]string) *need {
	all := &need{object: map[string]any{}}
	for _, path := range paths {
		all.add(path)
	}
	return all
}

func (n *need) add(path []string) {
	i := n.find(path[0])
	switch {
	case i < 0:
		var inner *need
		if len(path) > 1 {
			inner = needs([][]string{path[1:]})
		}
		n.names, n.members = append(n.names, path[0]), append(n.members, inner)
	case len(path) == 1:
		n.members[i] = nil
	case n.members[i] != nil:
		n.members[i].add(path[1:])
	}
}

func (n *need) find(name string) int {
	for i := range n.names {
		if n.names[i] == name {
			return i
		}
	}
	return -1
}

// decoder goes through JSON once.
type decoder struct {
	text  []byte
	at    int
	depth int
}

func (d *decoder) wrong() error {
	if d.at >= len(d.text) {
		return parley.Errorf(parley.Unprocessable, "the data is not JSON: it ends too early")
	}
	return parley.Errorf(parley.Unprocessable, "the data is not JSON: %q at byte %d", rune(d.text[d.at]), d.at+1)
}

func (d *decoder) space() {
	for d.at < len(d.text) && (d.text[d.at] == ' ' || d.text[d.at] == '\n' || d.text[d.at] == '\t' || d.text[d.at] == '\r') {
		d.at++
	}
}

// next gives the next byte that is not white space, 0 at the end.
func (d *decoder) next() byte {
	d.space()
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) deeper() error {
	if d.depth++; d.depth > MaxDepthOfData {
		return errDeep
	}
	d.at++
	return nil
}

func (d *decoder) value(n *need) (any, error) {
	switch c := d.next(); {
	case c == '"':
		return d.str()
	case c == '{' && n != nil:
		return d.someOf(n)
	case c == '{':
		return d.object()
	case c == '[':
		return d.list()
	case c == '-' || c-'0' < 10:
		text, err := d.number()
		if err != nil {
			return nil, err
		}
		return numberOf(text)
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	}
	return nil, d.wrong()
}

func (d *decoder) word(w string) error {
	for i := range len(w) {
		if d.at >= len(d.text) || d.text[d.at] != w[i] {
			return d.wrong()
		}
		d.at++
	}
	return nil
}

func (d *decoder) object() (any, error) {
	object := map[string]any{}
	err := d.members(func(raw []byte, plain bool) error {
		name, err := text(raw, plain)
		if err != nil {
			return err
		}
		object[name], err = d.value(nil)
		return err
	})
	return object, err
}

// someOf makes an object of the members that are needed.
func (d *decoder) someOf(n *need) (any, error) {
	clear(n.object)
	err := d.members(func(raw []byte, plain bool) error {
		i := -1
		if plain {
			for j := range n.names {
				if string(raw) == n.names[j] {
					i = j
					break
				}
			}
		} else {
			name, err := text(raw, false)
			if err != nil {
				return err
			}
			i = n.find(name)
		}
		if i < 0 {
			return d.skip()
		}
		v, err := d.value(n.members[i])
		n.object[n.names[i]] = v
		return err
	})
	return n.object, err
}

// members goes through an object; each has to read the value.
func (d *decoder) members(each func(name []byte, plain bool) error) error {
	if err := d.deeper(); err != nil {
		return err
	}
	if d.next() != '}' {
		for {
			if d.next() != '"' {
				return d.wrong()
			}
			name, plain, err := d.quoted()
			if err != nil {
				return err
			}
			if d.next() != ':' {
				return d.wrong()
			}
			d.at++
			if err := each(name, plain); err != nil {
				return err
			}
			c := d.next()
			if c == '}' {
				break
			}
			if c != ',' {
				return d.wrong()
			}
			d.at++
		}
	}
	d.at++
	d.depth--
	return nil
}

func (d *decoder) list() (any, error) {
	list := []any{}
	err := d.elements(func() error {
		v, err := d.value(nil)
		list = append(list, v)
		return err
	})
	return list, err
}

// elements goes through a list; each has to read the value.
func (d *decoder) elements(each func() error) error {
	if err := d.deeper(); err != nil {
		return err
	}
	if d.next() != ']' {
		for {
			if err := each(); err != nil {
				return err
			}
			c := d.next()
			if c == ']' {
				break
			}
			if c != ',' {
				return d.wrong()
			}
			d.at++
		}
	}
	d.at++
	d.depth--
	return nil
}

// skip checks a value and makes nothing of it.
func (d *decoder) skip() error {
	switch c := d.next(); {
	case c == '"':
		_, _, err := d.quoted()
		return err
	case c == '{':
		return d.members(func([]byte, bool) error { return d.skip() })
	case c == '[':
		return d.elements(d.skip)
	case c == '-' || c-'0' < 10:
		_, err := d.number()
		return err
	}
	_, err := d.value(nil)
	return err
}

func (d *decoder) str() (any, error) {
	raw, plain, err := d.quoted()
	if err != nil {
		return nil, err
	}
	return text(raw, plain)
}

// text makes a string of what stands between quotes.
func text(raw []byte, plain bool) (string, error) {
	if plain {
		return string(raw), nil
	}
	var s string
	err := json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &s)
	return s, err
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// quoted reads a string and gives what stands between its quotes; plain says that it
// stands for itself: no escapes, and valid UTF-8. Eight bytes at a time are looked at
// for those that end or change it.
func (d *decoder) quoted() (raw []byte, plain bool, err error) {
	d.at++
	from, ascii, escapes := d.at, true, false
	for {
		for d.at+8 <= len(d.text) {
			w := binary.LittleEndian.Uint64(d.text[d.at:])
			if w&highs != 0 {
				ascii = false
			}
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			found := ((w - ones*' ') &^ w) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
			if found &= highs; found != 0 {
				d.at += bits.TrailingZeros64(found) / 8
				break
			}
			d.at += 8
		}
		if d.at >= len(d.text) {
			return nil, false, d.wrong()
		}
		switch c := d.text[d.at]; {
		case c == '"':
			raw = d.text[from:d.at]
			d.at++
			return raw, !escapes && (ascii || utf8.Valid(raw)), nil
		case c == '\\':
			escapes = true
			if err := d.escape(); err != nil {
				return nil, false, err
			}
		case c < ' ':
			return nil, false, d.wrong()
		default:
			ascii = ascii && c < utf8.RuneSelf
			d.at++
		}
	}
}

func (d *decoder) escape() error {
	d.at++
	if d.at >= len(d.text) || strings.IndexByte(`"\/bfnrtu`, d.text[d.at]) < 0 {
		return d.wrong()
	}
	digits := 0
	if d.text[d.at] == 'u' {
		digits = 4
	}
	d.at++
	for range digits {
		if d.at >= len(d.text) || strings.IndexByte("0123456789abcdefABCDEF", d.text[d.at]) < 0 {
			return d.wrong()
		}
		d.at++
	}
	return nil
}

// number reads a number, and gives its text.
func (d *decoder) number() ([]byte, error) {
	from := d.at
	if d.text[d.at] == '-' {
		d.at++
	}
	zero := d.at < len(d.text) && d.text[d.at] == '0'
	if whole := d.digits(); whole == 0 || zero && whole > 1 {
		d.at = from
		return nil, d.wrong()
	}
	if d.at < len(d.text) && d.text[d.at] == '.' {
		if d.at++; d.digits() == 0 {
			return nil, d.wrong()
		}
	}
	if d.at < len(d.text) && d.text[d.at]|0x20 == 'e' {
		d.at++
		if d.at < len(d.text) && (d.text[d.at] == '+' || d.text[d.at] == '-') {
			d.at++
		}
		if d.digits() == 0 {
			return nil, d.wrong()
		}
	}
	return d.text[from:d.at], nil
}

func (d *decoder) digits() int {
	from := d.at
	for d.at < len(d.text) && d.text[d.at]-'0' < 10 {
		d.at++
	}
	return d.at - from
}

// numberOf makes a Go number.
func numberOf(raw []byte) (any, error) {
	text := string(raw)
	if n, err := strconv.Atoi(text); err == nil {
		return n, nil
	}
	if !strings.ContainsAny(text, ".eE") && len(text) <= 400 {
		n, ok := new(big.Int).SetString(text, 10)
		if ok {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, parley.Errorf(parley.Unprocessable, "%w: %.20s…", errNumber, text)
	}
	return f, nil
}
