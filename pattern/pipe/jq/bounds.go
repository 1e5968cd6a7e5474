package jq

import (
	"fmt"
	"math/big"
	"math/bits"

	"github.com/itchyny/gojq"
)

// MaxSize bounds what one step of a program makes by putting values together: the bytes
// of its texts, and 1 for each value in it.
const MaxSize = 8 << 20

func tooMuch(what string) error {
	return fmt.Errorf("%s makes a value of more than %d bytes: make smaller ones", what, MaxSize)
}

// fits says, with an error, that l + r or l * r is too large to be made.
func fits(operator string, l, r any) error {
	size := 0.0
	switch {
	case operator == "*" && isText(l):
		size = times(l, r)
	case operator == "*" && isText(r):
		size = times(r, l)
	case operator == "*" && isObject(l):
		size = float64(sizeOf(l, MaxSize+1)) + float64(sizeOf(r, MaxSize+1))
	default:
		size = width(l) + width(r)
	}
	if size > MaxSize {
		return tooMuch(operator)
	}
	return nil
}

// quick does what is done most: numbers whose result is one of the same kind, and short
// texts.
func quick(operator string, l, r any) (any, bool) {
	switch l := l.(type) {
	case int:
		r, is := r.(int)
		const most = 1 << (bits.UintSize/2 - 2) // whose square is an int
		if !is || l > most || l < -most || r > most || r < -most {
			return nil, false
		}
		if operator == "+" {
			return l + r, true
		}
		return l * r, true
	case float64:
		r, is := r.(float64)
		if operator == "+" {
			return l + r, is
		}
		return l * r, is
	case string:
		r, is := r.(string)
		if operator == "+" && is && len(l)+len(r) < MaxSize {
			return l + r, true
		}
	}
	return nil, false
}

// times gives the bytes of a text that is repeated.
func times(text, by any) float64 {
	n, ok := gojq.ToFloat64(by)
	if !ok || !(n > 0) {
		return 0
	}
	return float64(len(text.(string))) * n
}

func isText(v any) bool   { _, is := v.(string); return is }
func isObject(v any) bool { _, is := v.(map[string]any); return is }

// width is the size of a value itself, without that of its members.
func width(v any) float64 {
	switch v := v.(type) {
	case string:
		return float64(len(v))
	case []any:
		return 2 * float64(len(v))
	case map[string]any:
		return 2 * float64(len(v))
	case *big.Int:
		return float64(v.BitLen())
	}
	return 0
}

// sizeOf counts a value with all that is in it, up to a limit. A value that is in
// itself many times, by way of [., .] again and again, is that large when it is written.
func sizeOf(v any, limit int) (size int) {
	size = 1
	switch v := v.(type) {
	case string:
		size += len(v)
	case []any:
		for _, e := range v {
			if size += sizeOf(e, limit-size); size >= limit {
				return size
			}
		}
	case map[string]any:
		for name, e := range v {
			if size += len(name) + sizeOf(e, limit-size); size >= limit {
				return size
			}
		}
	case *big.Int:
		size += v.BitLen() / 8
	}
	return size
}

// sized gives its input if what is made of all of it is not too large.
func sized(v any, _ []any) any {
	if sizeOf(v, MaxSize+1) > MaxSize {
		return tooMuch("a function")
	}
	return v
}

// joins is sized for join, which puts a text between each two.
func joins(v any, args []any) any {
	all, isList := v.([]any)
	text, isText := args[0].(string)
	if isList && isText && float64(len(all))*float64(len(text)) > MaxSize {
		return tooMuch("join")
	}
	return sized(v, nil)
}

// turns gives its input if it is not too large for transpose, which makes all lists as
// long as the longest.
func turns(v any, _ []any) any {
	all, _ := v.([]any)
	longest := 0
	for _, row := range all {
		if row, is := row.([]any); is {
			longest = max(longest, len(row))
		}
	}
	if float64(longest)*float64(len(all)) > MaxSize/2 {
		return tooMuch("transpose")
	}
	return v
}

// maxIndex bounds the place of a list that may be set, which makes all before it.
const maxIndex = MaxSize / 2

// place gives its input if no number in a path is larger than maxIndex.
func place(v any, args []any) any {
	path, _ := args[0].([]any)
	for _, at := range path {
		if n, is := gojq.ToFloat64(at); is && n > maxIndex {
			return fmt.Errorf("a list is set at a place of more than %d: make a smaller one", maxIndex)
		}
	}
	return v
}
