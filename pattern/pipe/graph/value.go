package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// decoded says what is known of an item's data.
type decoded uint8

const (
	notYet decoded = iota
	isJSON
	isText
	isBytes
)

// MaxDepthOfData bounds how deep JSON data may be.
const MaxDepthOfData = 1000

// value gives an item's data as a value of JSON: maps, slices, strings, int,
// *big.Int, float64, bool and nil. Text is a string; other bytes are one in base64.
func (it *item) value() (any, error) {
	if it.state != notYet {
		return it.data, nil
	}
	e := &it.event
	switch {
	case e.Data == nil:
		it.data, it.state = nil, isJSON
	case parley.IsJSON(e.DataContentType) || e.DataContentType == "" && json.Valid(e.Data):
		v, err := decode(e.Data)
		if err != nil {
			return nil, err
		}
		it.data, it.state = v, isJSON
	case utf8.Valid(e.Data):
		it.data, it.state = string(e.Data), isText
	default:
		it.data, it.state = base64.StdEncoding.EncodeToString(e.Data), isBytes
	}
	return it.data, nil
}

func decode(data []byte) (any, error) {
	if depthOf(data) > MaxDepthOfData {
		return nil, parley.Errorf(parley.TooLarge, "the data is over %d levels deep", MaxDepthOfData)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, parley.Errorf(parley.Unprocessable, "the data is not JSON: %w", err)
	}
	if d.More() {
		return nil, parley.Errorf(parley.Unprocessable, "the data is not JSON: there is something behind it")
	}
	return numbers(v)
}

// depthOf counts brackets, those in strings too: it is at least the depth.
func depthOf(data []byte) (most int) {
	depth := 0
	for _, c := range data {
		switch c {
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth--
		}
	}
	return most
}

var errNumber = errors.New("a number is too large")

// numbers makes Go numbers of those in JSON.
func numbers(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		text := string(v)
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
	case []any:
		for i := range v {
			if v[i], err = numbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = numbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// become makes another event of an item: its data is JSON now. index tells several
// of one from each other.
func (s *stage) become(it *item, v any, index int) (item, error) {
	data, err := encode(v)
	if err != nil {
		return item{}, err
	}
	out := s.with(it, data, "application/json", index)
	out.data, out.state = v, isJSON
	return out, nil
}

// with makes another event of an item, with other data and an id of its own.
func (s *stage) with(it *item, data []byte, contentType string, index int) item {
	out := item{event: it.event, origin: it.origin, from: it.from, more: it.more}
	if out.origin == nil {
		was := it.event
		out.origin = &was
	}
	out.event.ID = s.id(it.event.Source, it.event.ID, strconv.Itoa(index))
	out.event.Source = s.m.source()
	out.event.Data, out.event.DataContentType, out.event.DataSchema = data, contentType, ""
	return out
}

// source is that of the events that a pipe makes.
func (m *Machine) source() string {
	if m.plan.Graph.Name == "" {
		return "/pipes/-"
	}
	return "/pipes/" + m.plan.Graph.Name
}

// id derives the id of an event from what it was made of, the stage that made it and
// which of several it is: whoever makes it again makes the same id.
func (s *stage) id(parts ...string) string {
	h := sha256.New()
	var size [8]byte
	for _, p := range append([]string{s.m.plan.Graph.Name, s.spec.path}, parts...) {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16]))
}
