package queue

import "container/heap"

// item is a job in a heap: the smaller key first, then the older job.
type item struct{ key, id int64 }

type items []item

func (h items) Len() int { return len(h) }
func (h items) Less(i, k int) bool {
	return h[i].key < h[k].key || h[i].key == h[k].key && h[i].id < h[k].id
}
func (h items) Swap(i, k int) { h[i], h[k] = h[k], h[i] }
func (h *items) Push(x any)   { *h = append(*h, x.(item)) }
func (h *items) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// index is a heap over facts that are kept elsewhere. What it holds may be out of
// date: whoever takes the first asks whether it still holds (valid), and so
// nothing has to be found and removed in the middle.
type index struct {
	items items
	valid func(item) bool
}

func (x *index) push(key, id int64) { heap.Push(&x.items, item{key, id}) }

// first gives the first item that holds, without removing it.
func (x *index) first() (item, bool) {
	for len(x.items) > 0 {
		if x.valid(x.items[0]) {
			return x.items[0], true
		}
		heap.Pop(&x.items)
	}
	return item{}, false
}

// pop removes the first item, which first gave.
func (x *index) pop() { heap.Pop(&x.items) }

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
	heap.Init(&x.items)
}
