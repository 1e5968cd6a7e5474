package queue

// item is a job in a heap: the smaller key first, then the older job.
type item struct{ key, id int64 }

func (i item) before(k item) bool { return i.key < k.key || i.key == k.key && i.id < k.id }

// index is a heap over facts that are kept elsewhere. What it holds may be out of
// date: whoever takes the first asks whether it still holds (valid), and so
// nothing has to be found and removed in the middle.
type index struct {
	items []item
	valid func(item) bool
}

func (x *index) push(key, id int64) {
	x.items = append(x.items, item{key, id})
	for at := len(x.items) - 1; at > 0; {
		up := (at - 1) / 2
		if !x.items[at].before(x.items[up]) {
			return
		}
		x.items[at], x.items[up] = x.items[up], x.items[at]
		at = up
	}
}

// first gives the first item that holds, without removing it.
func (x *index) first() (item, bool) {
	for len(x.items) > 0 {
		if x.valid(x.items[0]) {
			return x.items[0], true
		}
		x.pop()
	}
	return item{}, false
}

// pop removes the first item, which first gave.
func (x *index) pop() {
	last := len(x.items) - 1
	x.items[0] = x.items[last]
	x.items = x.items[:last]
	x.sink(0)
}

// sink moves an item below those that come before it.
func (x *index) sink(at int) {
	for {
		down := 2*at + 1
		if down >= len(x.items) {
			return
		}
		if right := down + 1; right < len(x.items) && x.items[right].before(x.items[down]) {
			down = right
		}
		if !x.items[down].before(x.items[at]) {
			return
		}
		x.items[at], x.items[down] = x.items[down], x.items[at]
		at = down
	}
}

// tidy drops what is out of date when it may be more than what holds.
func (x *index) tidy(live int) {
	if len(x.items) < 2*live+1000 {
		return
	}
	kept := x.items[:0]
	for _, i := range x.items {
		if x.valid(i) {
			kept = append(kept, i)
		}
	}
	x.items = kept
	for at := len(kept)/2 - 1; at >= 0; at-- {
		x.sink(at)
	}
}
