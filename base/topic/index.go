package topic

import (
	"iter"
	"strings"
)

// Index finds the values whose patterns match a name. It is a trie by levels: a
// search visits the levels of the name and the wildcards beside them, not every
// pattern. The zero Index is empty and ready; it is not safe for concurrent use.
type Index[T comparable] struct {
	roots map[byte]*node[T] // by sigil
	size  int
}

type node[T comparable] struct {
	next map[string]*node[T] // by level, "*" among them
	here set[T]              // patterns that end with this level
	rest set[T]              // patterns whose next level is ">"
}

// Len is the number of pairs of pattern and value.
func (x *Index[T]) Len() int { return x.size }

// Add puts a value under a pattern. It reports false when it was there already.
func (x *Index[T]) Add(p Pattern, v T) bool {
	if p.text == "" {
		return false
	}
	sigil, rest := cutSigil(p.text)
	if x.roots == nil {
		x.roots = make(map[byte]*node[T], 1)
	}
	n := x.roots[sigil]
	if n == nil {
		n = &node[T]{}
		x.roots[sigil] = n
	}
	for more := true; more; {
		var level string
		level, rest, more = strings.Cut(rest, ".")
		if level == ">" {
			return x.count(n.rest.add(v), 1)
		}
		child := n.next[level]
		if child == nil {
			child = &node[T]{}
			if n.next == nil {
				n.next = make(map[string]*node[T], 1)
			}
			n.next[level] = child
		}
		n = child
	}
	return x.count(n.here.add(v), 1)
}

func (x *Index[T]) count(done bool, by int) bool {
	if done {
		x.size += by
	}
	return done
}

// Remove takes a value from under a pattern. It reports false when it was not
// there. Nodes that hold nothing any more go away with it.
func (x *Index[T]) Remove(p Pattern, v T) bool {
	sigil, rest := cutSigil(p.text)
	root := x.roots[sigil]
	if root == nil || p.text == "" {
		return false
	}
	done := root.remove(rest, v)
	if root.empty() {
		delete(x.roots, sigil)
	}
	return x.count(done, -1)
}

func (n *node[T]) remove(levels string, v T) bool {
	level, rest, more := strings.Cut(levels, ".")
	if level == ">" {
		return n.rest.remove(v)
	}
	child := n.next[level]
	if child == nil {
		return false
	}
	done := false
	if more {
		done = child.remove(rest, v)
	} else {
		done = child.here.remove(v)
	}
	if child.empty() {
		delete(n.next, level)
	}
	return done
}

func (n *node[T]) empty() bool {
	return len(n.next) == 0 && len(n.here.items) == 0 && len(n.rest.items) == 0
}

// Match walks the values whose patterns match a name, in no order. A value that
// is under several of them comes once for each. The index must not change
// during the walk.
func (x *Index[T]) Match(name string) iter.Seq[T] {
	return func(yield func(T) bool) {
		sigil, levels := cutSigil(name)
		if n := x.roots[sigil]; n != nil && levels != "" {
			n.match(levels, yield)
		}
	}
}

func (n *node[T]) match(levels string, yield func(T) bool) bool {
	if !n.rest.each(yield) {
		return false
	}
	level, rest, more := strings.Cut(levels, ".")
	for _, key := range [...]string{level, "*"} {
		child := n.next[key]
		if child == nil {
			continue
		}
		if more && !child.match(rest, yield) || !more && !child.here.each(yield) {
			return false
		}
		if level == "*" {
			break // not a name, but it must not match twice
		}
	}
	return true
}

// set is a set that is walked often and changed seldom.
type set[T comparable] struct {
	items []T
	at    map[T]int
}

func (s *set[T]) add(v T) bool {
	if _, ok := s.at[v]; ok {
		return false
	}
	if s.at == nil {
		s.at = make(map[T]int, 1)
	}
	s.at[v] = len(s.items)
	s.items = append(s.items, v)
	return true
}

func (s *set[T]) remove(v T) bool {
	i, ok := s.at[v]
	if !ok {
		return false
	}
	last := len(s.items) - 1
	s.items[i] = s.items[last]
	s.at[s.items[i]] = i
	delete(s.at, v)
	var zero T
	s.items[last] = zero
	s.items = s.items[:last]
	return true
}

func (s *set[T]) each(yield func(T) bool) bool {
	for _, v := range s.items {
		if !yield(v) {
			return false
		}
	}
	return true
}
