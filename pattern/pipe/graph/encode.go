package graph

import (
	"math"
	"math/big"
	"slices"
	"strconv"

	"github.com/parleyhq/parley"
)

// MaxData bounds the data that a stage makes for one event.
const MaxData = 8 << 20

// encode writes a value as JSON, with its members in the order of their names. What
// is too long is found on the way: a small value that has another one in it many
// times may be endless when it is written.
func encode(v any) ([]byte, error) { return appendValue(nil, v) }

func appendValue(b []byte, v any) ([]byte, error) {
	if len(b) > MaxData {
		return nil, &parley.Error{Code: parley.TooLarge, Detail: "the result has more than " + strconv.Itoa(MaxData) + " bytes", Fix: "make less of each event"}
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return parley.AppendJSONString(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case *big.Int:
		return v.Append(b, 10), nil
	case float64:
		return appendFloat(b, v)
	case []any:
		return appendList(b, v)
	case map[string]any:
		return appendObject(b, v)
	}
	return nil, parley.Errorf(parley.Unprocessable, "the result has a %T, which JSON has not", v)
}

// appendFloat writes numbers as ECMAScript does (RFC 8785 §3.2.2.3).
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, parley.Errorf(parley.Unprocessable, "the result has %v, which JSON has not", f)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64), nil
}

func appendList(b []byte, list []any) (_ []byte, err error) {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, list[i]); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, object map[string]any) (_ []byte, err error) {
	var few [16]string
	names := few[:0]
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(parley.AppendJSONString(b, name), ':')
		if b, err = appendValue(b, object[name]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}
